"""A real Envoy, set up as Istio sets up the sidecar of a workload; the other end of our TLS.

    with EnvoySidecar(leaf, inbound=[Inbound(app.port)]) as server:
        outbound = Outbound(server.ports[0], leaf_uri)
        with EnvoySidecar(other, outbound=[outbound]) as client:
            assert ask(client.ports[0]).status == 200

There are no redirect rules: each listener has a port of its own. What is here is what Istio writes
(`pilot/pkg/networking/core/listener_inbound.go`), less its own filters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.envoy_tls import HTTP_ALPN, TCP_ALPN, from_callers, to_upstream
from tests.support.envoy import EnvoyProcess
from tests.support.peers import LOCAL, wait_until
from tests.support.pki import TRUST_DOMAIN, Leaf
from tests.support.sidecar import free_port

Json = dict[str, Any]
_TYPES = "type.googleapis.com/envoy.extensions."
_HTTP2 = {"explicit_http_config": {"http2_protocol_options": {}}}
_HTTP1 = {"explicit_http_config": {"http_protocol_options": {}}}

# What the tests read of a connection or request; `json_format` in Envoy's access log.
_LOG = {
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "protocol": "%PROTOCOL%",
    "path": "%REQ(:PATH)%",
    "peer": "%DOWNSTREAM_PEER_URI_SAN%",
    "subject": "%DOWNSTREAM_PEER_SUBJECT%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "refused": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "refused_by": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}


@dataclass(frozen=True)
class Inbound:
    """``protocol`` is http (both versions of it) or tcp, towards callers and the app alike.

    ``client_cert`` and ``details``: what the app is told of callers' certificates.
    ``allow_connect``: extended CONNECT, which Istio does not switch on. ``old_app``: the app speaks
    HTTP/1.1 alone, whatever its callers do.
    """

    app: int
    protocol: str = "http"
    strict: bool = True
    trust_domains: tuple[str, ...] = (TRUST_DOMAIN,)
    client_cert: str = "APPEND_FORWARD"
    details: tuple[str, ...] = ("subject", "dns", "uri")
    allow_connect: bool = False
    old_app: bool = False


@dataclass(frozen=True)
class Outbound:
    """``to`` is the port of the one endpoint, ``names`` are the SPIFFE IDs it may have.

    ``protocol`` is http, http2 or tcp; ``mutual``: with TLS. ``alpn`` is offered then, in place of
    what Istio offers for the protocol.
    """

    to: int
    names: tuple[str, ...] = ()
    protocol: str = "http"
    sni: str = "outbound_.80_._.app.default.svc.cluster.local"
    mutual: bool = True
    alpn: tuple[str, ...] = ()


class EnvoySidecar(EnvoyProcess):
    """Listens on ``ports``: those of ``inbound`` first, then those of ``outbound``."""

    def __init__(
        self,
        leaf: Leaf,
        inbound: Sequence[Inbound] = (),
        outbound: Sequence[Outbound] = (),
        ports: Sequence[int] = (),
    ) -> None:
        self.ports = list(ports) or [free_port() for _ in (*inbound, *outbound)]
        self.admin = free_port()
        super().__init__(self.ports[-1])
        certs = leaf.write(self.folder / "certs")
        listeners, clusters = [], []
        # Ports of `outbound` follow: here they are shorter.
        for port, each in zip(self.ports, inbound, strict=False):
            listeners.append(_inbound(port, each, certs, self.log_file))
            clusters.append(_cluster(f"inbound_{port}", each.app, _passed_on(each)))
        for port, out in zip(self.ports[len(inbound) :], outbound, strict=True):
            listeners.append(_outbound(port, out, self.log_file))
            clusters.append(_upstream(port, out, certs))
        self.configure(
            {
                "admin": {"address": _address(self.admin)},
                "static_resources": {"listeners": listeners, "clusters": clusters},
            }
        )

    @property
    def log_file(self) -> Path:
        return self.folder / "access.log"

    def log(self) -> list[dict[str, Any]]:
        """Every request, and every connection that came to none."""
        text = self.log_file.read_text() if self.log_file.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def logged(self, **fields: Any) -> dict[str, Any]:
        """The first line with these fields; waits for it."""

        def found() -> dict[str, Any] | None:
            lines = self.log()
            return next((line for line in lines if fields.items() <= line.items()), None)

        line: dict[str, Any] = wait_until(found, lambda: f"{fields} in {self.log()}")
        return line

    def refusals(self) -> list[str]:
        """Why callers or upstreams were refused so far."""
        return [why for line in self.log() if (why := line["refused"] or line["refused_by"])]


# Listeners.


def _inbound(port: int, wanted: Inbound, certs: Path, log: Path) -> Json:
    tls = from_callers(certs, wanted.protocol, wanted.trust_domains)
    filters = [_tcp(port, log)]
    if wanted.protocol == "http":
        filters = [_manager(port, log)]
        told = filters[0]["typed_config"]
        told["forward_client_cert_details"] = wanted.client_cert
        told["set_current_client_cert_details"] = dict.fromkeys(wanted.details, True)
        if wanted.allow_connect:
            told["http2_protocol_options"] = {"allow_connect": True}
    alpn = [*TCP_ALPN, *HTTP_ALPN]
    secured: Json = {
        "name": "mutual",
        "filter_chain_match": {"transport_protocol": "tls"},
        "transport_socket": tls,
        "filters": filters,
    }
    chains = [secured]
    if not wanted.strict:
        secured["filter_chain_match"]["application_protocols"] = alpn
        plain = {"transport_protocol": "raw_buffer"}
        chains.append({"name": "plain", "filter_chain_match": plain, "filters": filters})
        # TLS without Istio's ALPN is the app's own.
        own = {"transport_protocol": "tls"}
        chains.append({"name": "own", "filter_chain_match": own, "filters": [_tcp(port, log)]})
    inspector = _TYPES + "filters.listener.tls_inspector.v3.TlsInspector"
    return {
        "name": f"inbound_{port}",
        "address": _address(port),
        "listener_filters": [
            {"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": inspector}}
        ],
        "filter_chains": chains,
        # Handshakes that fail come to no filter, and only the listener can log them.
        "access_log": _access_log(log),
    }


def _outbound(port: int, wanted: Outbound, log: Path) -> Json:
    filters = [(_tcp if wanted.protocol == "tcp" else _manager)(port, log, "outbound")]
    return {
        "name": f"outbound_{port}",
        "address": _address(port),
        "filter_chains": [{"filters": filters}],
    }


def _manager(port: int, log: Path, direction: str = "inbound") -> Json:
    host = {
        "name": "any",
        "domains": ["*"],
        "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": f"{direction}_{port}", "timeout": "0s"}}
        ],
    }
    config: Json = {
        "@type": _TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": direction,
        "codec_type": "AUTO",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "use_remote_address": False,
        "access_log": _access_log(log),
        "route_config": {"name": "any", "virtual_hosts": [host]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _TYPES + "filters.http.router.v3.Router"},
            }
        ],
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def _tcp(port: int, log: Path, direction: str = "inbound") -> Json:
    config = {
        "@type": _TYPES + "filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": direction,
        "cluster": f"{direction}_{port}",
        "access_log": _access_log(log),
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def _access_log(path: Path) -> list[Json]:
    config = {
        "@type": _TYPES + "access_loggers.file.v3.FileAccessLog",
        "path": str(path),
        "log_format": {"json_format": _LOG},
    }
    return [{"name": "envoy.access_loggers.file", "typed_config": config}]


# Clusters.


def _upstream(port: int, wanted: Outbound, certs: Path) -> Json:
    options = {"http": _HTTP1, "http2": _HTTP2}.get(wanted.protocol)
    cluster = _cluster(f"outbound_{port}", wanted.to, options)
    if wanted.mutual:
        socket = to_upstream(certs, wanted.protocol, wanted.sni, wanted.names)
        if wanted.alpn:
            socket["typed_config"]["common_tls_context"]["alpn_protocols"] = list(wanted.alpn)
        cluster["transport_socket"] = socket
    return cluster


def _passed_on(wanted: Inbound) -> Json | None:
    """An app is spoken to in the version of HTTP that its caller speaks, unless it is old."""
    if wanted.protocol == "tcp":
        return None
    if wanted.old_app:
        return _HTTP1
    both: Json = {"http_protocol_options": {}, "http2_protocol_options": {}}
    return {"use_downstream_protocol_config": both}


def _cluster(name: str, port: int, options: Json | None) -> Json:
    cluster: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }
    if options is not None:
        kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        typed = {"@type": "type.googleapis.com/" + kind, **options}
        cluster["typed_extension_protocol_options"] = {kind: typed}
    return cluster


def _address(port: int) -> Json:
    return {"socket_address": {"address": LOCAL, "port_value": port}}
