"""What a port carries, from what is declared (Istio `pkg/config/kube/conversion.go`)."""

from __future__ import annotations

from enum import Enum

from meshproxy.model.cluster import UpstreamHttp
from meshproxy.model.listener import Application


class Protocol(Enum):
    """Istio's protocols. ``UNDECLARED``: found out by looking at the bytes."""

    TCP = "tcp"
    TLS = "tls"
    HTTPS = "https"
    MONGO = "mongo"
    MYSQL = "mysql"
    REDIS = "redis"
    HTTP = "http"
    HTTP_PROXY = "http_proxy"
    HTTP2 = "http2"
    GRPC = "grpc"
    GRPC_WEB = "grpc-web"
    UDP = "udp"
    UNDECLARED = ""

    @property
    def application(self) -> Application:
        if self in _HTTP:
            return Application.HTTP
        return Application.DETECT if self is Protocol.UNDECLARED else Application.TCP

    @property
    def upstream(self) -> UpstreamHttp:
        if self in _HTTP2:
            return UpstreamHttp.HTTP2
        if self is Protocol.UNDECLARED:
            return UpstreamHttp.AS_DOWNSTREAM
        return UpstreamHttp.HTTP1

    @property
    def inside_tls(self) -> Protocol:
        """What is spoken once its TLS has been ended (Istio's `AfterTLSTermination`)."""
        return {Protocol.HTTPS: Protocol.HTTP, Protocol.TLS: Protocol.TCP}.get(self, self)


_HTTP2 = frozenset({Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
_HTTP = _HTTP2 | {Protocol.HTTP, Protocol.HTTP_PROXY}
TLS = frozenset({Protocol.TLS, Protocol.HTTPS})  # passed through, told apart by name
_BY_NAME = {protocol.value: protocol for protocol in Protocol if protocol.value}
_APP_PROTOCOLS = {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}
# Applications on these ports wait for the server to speak first (SMTP, DNS, MySQL, MongoDB), so
# looking at the client's bytes would wait for ever.
_NEVER_DETECTED = frozenset({25, 53, 3306, 27017})


def parse_protocol(name: str) -> Protocol | None:
    """A protocol by its name, in any case; None where there is none of that name."""
    return _BY_NAME.get(name.lower())


def protocol_of(port: int, name: str, app_protocol: str = "", transport: str = "TCP") -> Protocol:
    """The protocol of a service's port: ``appProtocol``, else the name up to its first dash."""
    if transport and transport.upper() != "TCP":
        return Protocol.UDP  # SCTP is no more proxied than UDP is
    if app_protocol in _APP_PROTOCOLS:
        return _APP_PROTOCOLS[app_protocol]
    declared = (app_protocol or name).lower()
    if declared.startswith("grpc-web"):
        return Protocol.GRPC_WEB
    found = parse_protocol(declared.partition("-")[0])
    if found is None or found is Protocol.UDP:
        return Protocol.TCP if port in _NEVER_DETECTED else Protocol.UNDECLARED
    return found


def declared_protocol(port: int, name: str) -> Protocol:
    """The protocol that a field names; where it is empty, bytes are looked at if they may be."""
    undeclared = Protocol.TCP if port in _NEVER_DETECTED else Protocol.UNDECLARED
    return parse_protocol(name) or undeclared
