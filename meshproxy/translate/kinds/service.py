"""``v1`` Service (kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshproxy.base.addr import is_ip, parse_ip
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.names import is_port
from meshproxy.translate.protocol import Protocol, protocol_of

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_TRANSPORTS = ("TCP", "UDP", "SCTP")
# What kube-proxy and load balancers act on.
_KUBERNETES = (
    "allocateLoadBalancerNodePorts",
    "externalIPs",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """``target`` is the endpoints' port: its number, or the name that a pod gives it."""

    number: int
    name: str
    protocol: Protocol
    target: int | str


@dataclass(frozen=True, slots=True)
class Service:
    """``addresses`` are cluster IPs; a headless service has none."""

    meta: Meta
    ports: tuple[ServicePort, ...]
    selector: Mapping[str, str]
    addresses: tuple[str, ...] = ()
    headless: bool = False
    external_name: str = ""
    export_to: tuple[str, ...] = ()
    not_ready_too: bool = False


def read_service(top: Fields, meta: Meta) -> Service:
    fields = top.mapping("spec")
    kind = fields.choice("type", ("", *_TYPES)) or "ClusterIP"
    external = kind == "ExternalName"
    ports = tuple(_ports(fields))
    _check_ports(fields, ports)
    if external and not fields.text("externalName"):
        fields.error("externalName", "a service of type ExternalName must say which host it means")
    addresses = () if external else _addresses(fields)
    service = Service(
        meta,
        ports,
        fields.words("selector"),
        addresses,
        fields.text("clusterIP") == "None" or fields.items("clusterIPs") == ["None"],
        fields.text("externalName").lower().removesuffix(".") if external else "",
        _export_to(meta),
        fields.flag("publishNotReadyAddresses"),
    )
    fields.skip(*_KUBERNETES)
    fields.close()
    return service


def _ports(fields: Fields) -> list[ServicePort]:
    found: list[ServicePort] = []
    for port in fields.mappings("ports"):
        transport = port.choice("protocol", ("", *_TRANSPORTS)) or "TCP"
        number = port.port("port")
        if not port.has("port"):
            port.error("port", "is required")
        name = port.text("name")
        target = port.raw("targetPort")
        protocol = protocol_of(number, name, port.text("appProtocol"), transport)
        target_port = _target(port, target, number)
        port.skip("nodePort")
        port.close()
        if number in [each.number for each in found] and protocol is not Protocol.UDP:
            port.warn("port", f"a port before it has the number {number}: this one has no effect")
        elif number and protocol is not Protocol.UDP:
            found.append(ServicePort(number, name, protocol, target_port))
    return found


def _target(port: Fields, target: object, number: int) -> int | str:
    if target is None or target == "" or (target == 0 and target is not False):
        return number
    if isinstance(target, str):
        return int(target) if is_port(target) else target
    return port.port("targetPort", number)


def _check_ports(fields: Fields, ports: tuple[ServicePort, ...]) -> None:
    """Kubernetes: ports are told apart by their names, and no two may be the same."""
    if len(ports) < 2:
        return
    names = [port.name for port in ports]
    for at, port in enumerate(ports):
        if not port.name:
            fields.warn("ports", f"port {port.number} has no name beside others", "name each port")
        elif names.index(port.name) != at:
            fields.warn("ports", f"two ports are named {port.name}", "give each its own name")


def _addresses(fields: Fields) -> tuple[str, ...]:
    given = [text for text in (fields.text("clusterIP"), *fields.texts("clusterIPs")) if text]
    found: dict[str, None] = {}
    for address in given:
        if is_ip(address):
            found[parse_ip(address)] = None
        elif address != "None":
            fields.error("clusterIP", f"{address!r} is not an IP address")
    return tuple(found)


def _export_to(meta: Meta) -> tuple[str, ...]:
    """Istio's annotation for a Service's `exportTo`."""
    text = meta.annotations.get("networking.istio.io/exportTo", "")
    return tuple(part.strip() for part in text.split(",") if part.strip())
