"""``networking.istio.io`` Sidecar: what a sidecar sees, and the ports it opens itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from meshproxy.base.addr import is_ip, parse_ip
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import Destination, read_destination, read_match_labels
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.server_tls import ServerTls, read_sidecar_tls
from meshproxy.translate.kinds.traffic_policy import read_pool
from meshproxy.translate.kinds.workload_entry import UNIX, check_unix
from meshproxy.translate.names import host_fault, is_label
from meshproxy.translate.problems import did_you_mean
from meshproxy.translate.protocol import Protocol, parse_protocol

_CAPTURE = ("DEFAULT", "IPTABLES", "NONE")
_ENDPOINT = re.compile(r"(?:\[([0-9a-fA-F:]*)\]|([0-9.]*)):(\d{1,5})\Z")
_LOCAL = ("", "127.0.0.1", "0.0.0.0", "::1", "::")


@dataclass(frozen=True, slots=True)
class SidecarPort:
    """``number`` 0 stands for a unix socket."""

    number: int
    protocol: Protocol
    name: str = ""


@dataclass(frozen=True, slots=True)
class Egress:
    """``port`` None: every port that no other listener has. ``hosts``: namespace and host name."""

    hosts: tuple[tuple[str, str], ...]
    port: SidecarPort | None = None
    bind: str = ""
    captured: bool = True

    @property
    def is_proxy(self) -> bool:
        """Whether the app uses it as its HTTP proxy: for services on all ports, by absolute URL."""
        port = self.port
        return port is not None and port.protocol is Protocol.HTTP_PROXY and not self.captured


@dataclass(frozen=True, slots=True)
class Ingress:
    """``endpoint``: IP address and port of the app; None: where the connection was going."""

    port: SidecarPort
    bind: str = ""
    captured: bool = True
    endpoint: tuple[str, int] | None = None
    unix: str = ""
    tls: ServerTls | None = None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """``allow_any`` None: as MeshConfig says. ``egress_proxy``: where unknown traffic goes then."""

    meta: Meta
    selector: Mapping[str, str]
    egress: tuple[Egress, ...]
    ingress: tuple[Ingress, ...]
    allow_any: bool | None = None
    egress_proxy: Destination | None = None


def read_sidecar(top: Fields, meta: Meta) -> Sidecar:
    fields = top.mapping("spec")
    selector = _read_selector(fields)
    parts = ("egress", "ingress", "outboundTrafficPolicy", "inboundConnectionPool")
    if not any(fields.data.get(name) for name in parts):
        fields.report.error(fields.path, "says nothing", f"set one of {', '.join(parts)}")
    sidecar = Sidecar(
        meta,
        selector,
        _read_egress(fields, meta.namespace),
        _read_ingress(fields),
        *_read_policy(fields),
    )
    if fields.has("inboundConnectionPool"):
        read_pool(fields.mapping("inboundConnectionPool"))
        fields.later("inboundConnectionPool")
    fields.close()
    return sidecar


def _read_selector(fields: Fields) -> Mapping[str, str]:
    if not fields.has("workloadSelector"):
        return {}
    inner = fields.mapping("workloadSelector")
    labels = read_match_labels(inner, "labels")
    inner.close()
    if not labels:
        fields.warn("workloadSelector", "without labels it selects every workload", "remove it")
    return labels


def _read_policy(fields: Fields) -> tuple[bool | None, Destination | None]:
    if not fields.has("outboundTrafficPolicy"):
        return None, None
    policy = fields.mapping("outboundTrafficPolicy")
    mode = policy.choice("mode", ("REGISTRY_ONLY", "ALLOW_ANY"), "REGISTRY_ONLY")
    proxy = _read_egress_proxy(policy, mode) if policy.has("egressProxy") else None
    policy.close()
    return mode == "ALLOW_ANY", proxy


def _read_egress_proxy(policy: Fields, mode: str) -> Destination:
    if mode != "ALLOW_ANY":
        policy.error("egressProxy", "is for mode: ALLOW_ANY alone", "remove it or change the mode")
    proxy = policy.mapping("egressProxy")
    found = read_destination(proxy)
    if "*" in found.host:
        proxy.error("host", "must be one host, without wildcards")
    if not proxy.has("port"):
        proxy.error("port", "is required")
    return found


def _read_egress(fields: Fields, own: str) -> tuple[Egress, ...]:
    found: list[Egress] = []
    entries = list(fields.mappings("egress"))
    for at, entry in enumerate(entries):
        port = _read_port(entry) if entry.has("port") else None
        if port is None and at < len(entries) - 1:
            entry.error("port", "only the last egress may have no port", "move it to the end")
        bind = _read_bind(entry, port)
        capture = entry.choice("captureMode", _CAPTURE, "DEFAULT")
        if port is not None and not port.number and capture == "IPTABLES":
            entry.error("captureMode", "a unix socket can't be captured", "captureMode: NONE")
        captured = capture != "NONE" and not bind.startswith(UNIX)
        found.append(Egress(_read_hosts(entry, own), port, bind, captured))
        if port is not None and port.protocol is Protocol.HTTP_PROXY and captured:
            text = "what is captured goes where it was going: HTTP_PROXY is plain HTTP here"
            entry.mapping("port").warn("protocol", text, "captureMode: NONE")
        _check_unique(entry, found)
        entry.close()
    return tuple(found)


def _check_unique(entry: Fields, found: list[Egress]) -> None:
    *others, last = found
    if last.port is None:
        return
    for other in others:
        if other.port is None or other.port.number != last.port.number:
            continue
        if last.port.number or other.bind == last.bind:
            entry.error("port", "another egress has the same port", "use one port each")


def _read_port(entry: Fields) -> SidecarPort:
    port = entry.mapping("port")
    number = port.integer("number", 0, 0, 65535)
    name = port.text("name")
    if name and not is_label(name):
        port.error("name", f"{name!r} is not a port's name", "use letters, digits and -")
    if port.raw("targetPort"):
        port.error("targetPort", "means nothing in a Sidecar", "remove it")
    text = port.text("protocol")
    protocol = parse_protocol(text) if text else Protocol.UNDECLARED
    if protocol is None:
        known = [known.name for known in Protocol if known.value]
        port.error("protocol", f"{text!r} is not a protocol", did_you_mean(text, known))
    port.close()
    return SidecarPort(number, protocol or Protocol.UNDECLARED, name)


def _read_bind(entry: Fields, port: SidecarPort | None) -> str:
    """An IP address, or for egress the path of a unix socket, with port 0."""
    bind = entry.text("bind")
    if bind.startswith(UNIX):
        check_unix(entry, "bind", bind)
        if port is not None and port.number:
            entry.error("bind", "a unix socket has no port", "set port.number to 0")
        entry.later("bind")
        return bind
    if port is not None and not port.number and entry.has("port"):
        entry.error("port", "port 0 stands for a unix socket", "set port.number or a unix:// bind")
    if bind and not is_ip(bind):
        entry.error("bind", f"{bind!r} is not an IP address")
        return ""
    return parse_ip(bind) if bind else ""


def _read_hosts(entry: Fields, own: str) -> tuple[tuple[str, str], ...]:
    given = entry.texts("hosts")
    if not given:
        entry.error("hosts", "is required", "'*/*' for all, './*' for the own namespace")
    found = []
    for at, text in enumerate(given):
        namespace, slash, host = text.partition("/")
        fault = _egress_fault(namespace, slash, host.lower())
        if fault:
            path = (*entry.at("hosts"), at)
            entry.report.error(path, f"{text!r}: {fault}", "write NAMESPACE/HOST, ./HOST or */HOST")
        else:
            found.append((namespace, host.lower()))
    _warn_hosts(entry, [(own if each == "." else each, host) for each, host in found])
    return tuple(found)


def _egress_fault(namespace: str, slash: str, host: str) -> str:
    if not slash:
        return "the namespace is missing"
    if namespace not in ("*", ".", "~") and not is_label(namespace.removeprefix("~")):
        return f"{namespace!r} is not a namespace"
    if host == "*":
        return ""
    if host.startswith("*") and not host.startswith("*."):
        return "a wildcard stands for whole labels"
    if "." not in host:
        return "a short name is nobody's here"
    return host_fault(host, wildcard=True)


def _warn_hosts(entry: Fields, found: list[tuple[str, str]]) -> None:
    if ("*", "*") in found and any(
        namespace != "*" and not namespace.startswith("~") for namespace, _ in found
    ):
        entry.warn("hosts", "*/* takes everything already", "remove the others")
    for at, (namespace, host) in enumerate(found):
        if (namespace, host) in found[:at] or (host != "*" and (namespace, "*") in found):
            entry.warn("hosts", f"{namespace}/{host} is taken already", "remove it")


def _read_ingress(fields: Fields) -> tuple[Ingress, ...]:
    found: list[Ingress] = []
    for entry in fields.mappings("ingress"):
        port = _read_port(entry)
        if not port.number:
            entry.error("port", "is required", "say which: port: {number: 8080, protocol: HTTP}")
        if any(other.port.number == port.number for other in found):
            entry.error("port", f"another ingress has port {port.number}", "use one port each")
        bind = _read_bind(entry, port)
        captured = entry.choice("captureMode", _CAPTURE, "DEFAULT") != "NONE"
        endpoint, unix = _read_endpoint(entry)
        found.append(Ingress(port, bind, captured, endpoint, unix, _read_tls(entry, port)))
        _check_pool(entry, port)
        entry.close()
    return tuple(found)


def _check_pool(entry: Fields, port: SidecarPort) -> None:
    if not entry.has("connectionPool"):
        return
    read_pool(entry.mapping("connectionPool"))
    if entry.mapping("connectionPool").has("http") and port.protocol.application.value == "tcp":
        entry.warn("connectionPool", f"http limits mean nothing on the TCP port {port.number}")
    entry.later("connectionPool")


def _read_tls(entry: Fields, port: SidecarPort) -> ServerTls | None:
    if not entry.has("tls"):
        return None
    tls = read_sidecar_tls(entry.mapping("tls"))
    if port.protocol not in (Protocol.HTTPS, Protocol.TLS):
        entry.error("tls", "is for ports of protocol HTTPS or TLS", "change port.protocol")
    return tls


def _read_endpoint(entry: Fields) -> tuple[tuple[str, int] | None, str]:
    """``127.0.0.1:PORT``, ``0.0.0.0:PORT``, ``[::1]:PORT``, ``:PORT`` or ``unix://PATH``."""
    text = entry.text("defaultEndpoint")
    if not text:
        return None, ""
    if text.startswith(UNIX):
        check_unix(entry, "defaultEndpoint", text)
        entry.later("defaultEndpoint")
        return None, text
    match = _ENDPOINT.match(text)
    if match is None or (match[1] or match[2] or "") not in _LOCAL or not 0 < int(match[3]) < 65536:
        entry.error(
            "defaultEndpoint",
            f"{text!r} is not an address of this app",
            "write 127.0.0.1:PORT, 0.0.0.0:PORT or unix://PATH",
        )
        return None, ""
    return (match[1] or match[2] or "127.0.0.1", int(match[3])), ""
