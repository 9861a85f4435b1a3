"""Istio `TCPRoute` and `TLSRoute`: connections that are routed as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshproxy.base.addr import is_ip
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import (
    Destination,
    check_gateways,
    check_source,
    check_subnet,
)
from meshproxy.translate.kinds.http_route import check_weights, read_arm_destination, read_weight
from meshproxy.translate.names import covers, host_fault


@dataclass(frozen=True, slots=True)
class L4Match:
    """``sni_hosts`` only in TLS routes. Empty fields ask nothing."""

    port: int = 0
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    source_labels: Mapping[str, str] = field(default_factory=dict)
    source_namespace: str = ""
    sni_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class L4Arm:
    destination: Destination
    weight: int


@dataclass(frozen=True, slots=True)
class L4Route:
    matches: tuple[L4Match, ...]
    arms: tuple[L4Arm, ...]


def read_tcp_route(fields: Fields) -> L4Route:
    matches = tuple(_read_match(match) for match in fields.mappings("match"))
    return L4Route(matches, _read_arms(fields))


def read_tls_route(fields: Fields, hosts: tuple[str, ...]) -> L4Route:
    if not fields.items("match"):
        fields.error("match", "is required", "match by sniHosts")
    matches = []
    for match in fields.mappings("match"):
        names = match.texts("sniHosts")
        if not names:
            match.error("sniHosts", "is required")
        for at, name in enumerate(names):
            _check_sni(match, at, name, hosts)
        matches.append(_read_match(match, names))
    return L4Route(tuple(matches), _read_arms(fields))


def _read_match(fields: Fields, sni_hosts: tuple[str, ...] = ()) -> L4Match:
    labels, namespace = check_source(fields)
    subnets = fields.texts("destinationSubnets")
    for at, subnet in enumerate(subnets):
        check_subnet(fields, "destinationSubnets", at, subnet)
    fields.later("sourceSubnet")
    port = fields.any_port("port")
    match = L4Match(port, subnets, check_gateways(fields), labels, namespace, sni_hosts)
    fields.close()
    return match


def _check_sni(fields: Fields, at: int, name: str, hosts: tuple[str, ...]) -> None:
    path = (*fields.at("sniHosts"), at)
    if is_ip(name):
        fields.report.warn(path, f"{name} is an IP address, which clients do not send as SNI")
    elif fault := host_fault(name, wildcard=True):
        fields.report.error(path, fault)
    elif not any(covers(host, name) for host in hosts):
        fields.report.error(path, f"{name} falls under none of the hosts", "add it to spec.hosts")


def _read_arms(fields: Fields) -> tuple[L4Arm, ...]:
    if not fields.items("route"):
        fields.error("route", "is required", "name where the connections go")
    arms = []
    for arm in fields.mappings("route"):
        arms.append(L4Arm(read_arm_destination(arm), read_weight(arm)))
        arm.close()
    check_weights(fields, [arm.weight for arm in arms])
    fields.close()
    return tuple(arms)
