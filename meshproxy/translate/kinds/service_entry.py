"""``networking.istio.io`` ServiceEntry: hosts that no Service stands for.

The rules are those of Istio's `ValidateServiceEntry` (`pkg/config/validation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_network

from meshproxy.base.addr import is_ip
from meshproxy.model.listener import Application
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import (
    check_size,
    check_subnet,
    read_export_to,
    read_match_labels,
)
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.service import ServicePort
from meshproxy.translate.kinds.workload_entry import UNIX, WorkloadEntry, read_endpoint
from meshproxy.translate.names import host_fault, is_label, is_wildcard
from meshproxy.translate.problems import UNSUPPORTED, did_you_mean
from meshproxy.translate.protocol import TLS, Protocol, declared_protocol, parse_protocol

ADDRESSES_REQUIRED = "IST0134"  # as `istioctl analyze` has it
_LOCATIONS = ("MESH_EXTERNAL", "MESH_INTERNAL")
_NAMING = (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.TLS)
_MOST = {"hosts": 256, "addresses": 256, "ports": 256, "endpoints": 4096}


class Resolution(Enum):
    """Where a service's endpoints come from.

    ``NONE``: a connection goes on to where it was going. ``STATIC``: they are given. ``DNS``: all
    addresses of the names that are given. ``DNS_ROUND_ROBIN``: the first of them.
    """

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """``addresses`` are IP addresses and subnets. ``selector`` None: endpoints are listed, if any.

    ``endpoints`` have no name; their labels are their own. ``subject_alt_names`` are whom the
    endpoints may say they are.
    """

    meta: Meta
    hosts: tuple[str, ...]
    addresses: tuple[str, ...]
    ports: tuple[ServicePort, ...]
    resolution: Resolution
    external: bool = True
    endpoints: tuple[WorkloadEntry, ...] = ()
    selector: Mapping[str, str] | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


def read_service_entry(top: Fields, meta: Meta) -> ServiceEntry:
    if not top.has("spec"):
        top.error("spec", "is required", "give it hosts and ports")
    fields = top.mapping("spec")
    resolution = Resolution(
        fields.choice("resolution", [each.value for each in Resolution]) or "NONE"
    )
    for name, most in _MOST.items():
        check_size(fields, name, most)
    ports = tuple(_ports(fields))
    entry = ServiceEntry(
        meta,
        _hosts(fields),
        _addresses(fields, resolution),
        ports,
        resolution,
        fields.choice("location", _LOCATIONS, "MESH_EXTERNAL") == "MESH_EXTERNAL",
        tuple(_endpoints(fields, meta, {port.name for port in ports})),
        _selector(fields),
        read_export_to(fields, meta, service_entry=True),
        fields.texts("subjectAltNames"),
    )
    _check_ports(fields, entry)
    _check_resolution(fields, entry)
    fields.close()
    return entry


def _hosts(fields: Fields) -> tuple[str, ...]:
    hosts = fields.texts("hosts")
    if not hosts and not fields.items("hosts"):
        fields.error("hosts", "is required", "name at least one host")
    for at, host in enumerate(hosts):
        fault = "'*' would be every host" if host == "*" else host_fault(host, wildcard=True)
        if fault:
            mend = "name a host: api.example.com or *.example.com"
            fields.report.error((*fields.at("hosts"), at), fault, mend)
        elif host.startswith("*") and not host.startswith("*."):
            text = f"{host} covers parts of names, which not every client of the mesh can tell"
            fields.report.warn((*fields.at("hosts"), at), text, "*.DOMAIN")
    return tuple(dict.fromkeys(host.lower().removesuffix(".") for host in hosts))


def _addresses(fields: Fields, resolution: Resolution) -> tuple[str, ...]:
    """In their shortest spelling; a subnet of one address is that address."""
    found: dict[str, None] = {}
    for at, text in enumerate(fields.texts("addresses")):
        check_subnet(fields, "addresses", at, text)
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            continue
        whole = network.prefixlen == network.max_prefixlen
        found[str(network.network_address) if whole else str(network)] = None
        if "/" in text and resolution not in (Resolution.NONE, Resolution.STATIC):
            path = (*fields.at("addresses"), at)
            text = f"subnets can't stand with resolution {resolution.value}"
            fields.report.error(path, text, "write single addresses, or resolution: NONE")
    return tuple(found)


def _ports(fields: Fields) -> Iterable[ServicePort]:
    names: set[str] = set()
    numbers: set[int] = set()
    for port in fields.mappings("ports"):
        number, name = port.port("number"), port.text("name")
        if not port.has("number"):
            port.error("number", "is required")
        if not is_label(name):
            text = f"{name!r} is not a port's name" if name else "is required"
            port.error("name", text, "use letters, digits and -")
        elif name in names:
            port.error("name", f"two ports are named {name}", "give each its own name")
        if number and number in numbers:
            port.error("number", f"port {number} is there twice", "remove one of them")
        names.add(name)
        numbers.add(number)
        protocol = _protocol(port, number)
        target = port.port("targetPort", number)
        port.close()
        if number and protocol is not Protocol.UDP:
            yield ServicePort(number, name, protocol, target)


def _protocol(port: Fields, number: int) -> Protocol:
    text = port.text("protocol")
    if text and parse_protocol(text) is None:
        known = [known.name for known in Protocol if known.value]
        port.error("protocol", f"{text!r} is not a protocol", did_you_mean(text, known))
    protocol = declared_protocol(number, text)
    if protocol is Protocol.HTTP_PROXY:
        port.warn("protocol", "HTTP_PROXY is done as plain HTTP in this build", "", UNSUPPORTED)
    return protocol


def _endpoints(fields: Fields, meta: Meta, names: set[str]) -> Iterable[WorkloadEntry]:
    for at, inner in enumerate(fields.mappings("endpoints")):
        endpoint = read_endpoint(inner, Meta("WorkloadEntry", meta.namespace, f"{meta.name}-{at}"))
        inner.close()
        for name in endpoint.ports:
            if name not in names:
                path = (*inner.at("ports"), name)
                mend = did_you_mean(name, names)
                inner.report.error(path, f"the ServiceEntry has no port {name}", mend)
        if not endpoint.address:
            text = "is reached through another network's gateway, which this build does not do"
            inner.warn("address", f"without an address the endpoint {text}: it is left out")
        yield endpoint


def _selector(fields: Fields) -> Mapping[str, str] | None:
    if not fields.has("workloadSelector"):
        return None
    inner = fields.mapping("workloadSelector")
    labels = read_match_labels(inner, "labels")
    inner.close()
    if not labels:
        text = "a selector without labels selects nothing"
        fields.warn("workloadSelector", text, "labels: {app: NAME}")
    if fields.raw("endpoints"):
        text = "workloadSelector and endpoints can't stand together"
        fields.error("endpoints", text, "remove one of them")
    return labels


def _check_ports(fields: Fields, entry: ServiceEntry) -> None:
    """What connections can't be told apart by: neither HTTP's Host nor the name in TLS."""
    unnamed = [
        (at, port)
        for at, port in enumerate(entry.ports)
        if port.protocol.application is not Application.HTTP and port.protocol not in TLS
    ]
    for at, port in unnamed:
        # With endpoints of its own a port can do without addresses while nobody else has it, which
        # is seen when objects are put together.
        alone = entry.resolution is not Resolution.NONE and not any(map(is_wildcard, entry.hosts))
        if not (entry.addresses or alone) and port.protocol in (Protocol.TCP, Protocol.UNDECLARED):
            fields.report.warn(
                (*fields.at("ports"), at),
                "connections that are not HTTP are told apart by address, and there is none",
                "give addresses, or declare the protocol (HTTP, TLS, …)",
                ADDRESSES_REQUIRED,
            )
    if len(fields.items("hosts")) < 2 or entry.resolution is Resolution.NONE:
        return
    mend = "write one ServiceEntry for each host"
    if unnamed:
        name = unnamed[0][1].name
        fields.error("hosts", f"connections to port {name} name no host: one is the most", mend)
    elif (
        entry.resolution is not Resolution.STATIC
        and entry.addresses
        and any(port.protocol in TLS for port in entry.ports)
    ):
        text = f"connections to these addresses without a name in TLS count as {entry.hosts[0]}"
        fields.warn("hosts", text, mend)


def _check_resolution(fields: Fields, entry: ServiceEntry) -> None:
    match entry.resolution:
        case Resolution.NONE:
            if entry.endpoints:
                fields.error("endpoints", "can't stand with resolution NONE", "resolution: STATIC")
            if entry.selector is not None:
                text = "selects no endpoints with resolution NONE"
                fields.warn("workloadSelector", text, "resolution: STATIC")
        case Resolution.STATIC:
            _check_static(fields, entry)
        case Resolution.DNS | Resolution.DNS_ROUND_ROBIN:
            _check_dns(fields, entry)
        case Resolution.DYNAMIC_DNS:
            _check_dynamic(fields, entry)


def _check_static(fields: Fields, entry: ServiceEntry) -> None:
    for at, endpoint in enumerate(entry.endpoints):
        path = (*fields.at("endpoints"), at, "address")
        if endpoint.address.startswith(UNIX):
            if len(entry.ports) != 1:
                fields.report.error(path, "a unix socket stands for exactly one port")
        elif endpoint.address and not is_ip(endpoint.address):
            text = f"{endpoint.address!r} is not an IP address"
            fields.report.error(path, text, "resolution: DNS")


def _check_dns(fields: Fields, entry: ServiceEntry) -> None:
    if not entry.endpoints:
        for at, host in enumerate(entry.hosts):
            if host.startswith("*"):
                path = (*fields.at("hosts"), at)
                text = "DNS can't be asked for the addresses of a wildcard"
                fields.report.error(path, text, "give endpoints, or resolution: NONE")
    if entry.resolution is Resolution.DNS_ROUND_ROBIN and len(entry.endpoints) > 1:
        text = "DNS_ROUND_ROBIN takes one endpoint"
        fields.error("endpoints", text, "remove the others, or resolution: DNS")
    for at, endpoint in enumerate(entry.endpoints):
        if endpoint.address.startswith(UNIX) or not endpoint.address:
            path = (*fields.at("endpoints"), at, "address")
            text = "a unix socket is no name" if endpoint.address else "is required"
            fields.report.error(path, text, "resolution: STATIC")


def _check_dynamic(fields: Fields, entry: ServiceEntry) -> None:
    for at, port in enumerate(entry.ports):
        if port.protocol not in _NAMING:
            path = (*fields.at("ports"), at, "protocol")
            text = "DYNAMIC_DNS needs a protocol that names the host: HTTP, HTTP2, GRPC or TLS"
            fields.report.error(path, text, "protocol: HTTP")
    for at, host in enumerate(entry.hosts):
        if not is_wildcard(host):
            path = (*fields.at("hosts"), at)
            fields.report.error(path, "DYNAMIC_DNS is for wildcards", "resolution: DNS")
    for name, given in (("endpoints", entry.endpoints), ("addresses", entry.addresses)):
        if given:
            fields.error(name, "can't stand with resolution DYNAMIC_DNS", "remove them")
    fields.warn(
        "resolution",
        "DYNAMIC_DNS is not implemented in this build: requests are answered 503",
        "resolution: NONE",
        UNSUPPORTED,
    )
