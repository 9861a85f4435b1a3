"""Listeners and their filter chains (envoy.config.listener.v3.Listener), and `/listeners`.

What is detected from the first bytes is two chains in Envoy's words: one for connections that turn
out to be HTTP, one for the rest.
"""

from __future__ import annotations

from dataclasses import asdict
from ipaddress import ip_network

from meshproxy.model.listener import Application, Direction, FilterChain, Listener
from meshproxy.model.route import TcpRoute
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.telemetry import AccessLog
from meshproxy.model.tls import DownstreamTls, TlsParameters
from meshproxy.show.routes import inline_table
from meshproxy.show.shape import (
    ADS,
    Json,
    metadata,
    socket_address,
    typed,
    without_empty,
)
from meshproxy.show.tls import MESH_HTTP, MESH_TCP, OWN_ALPN, mutual_socket, own_socket

LISTENER = "config.listener.v3.Listener"
_MANAGER = "http_connection_manager"
_EXTENSIONS = "extensions.filters."
HTTP_FILTER = "envoy.filters.network.http_connection_manager"
TCP_FILTER = "envoy.filters.network.tcp_proxy"
HTTP_PROTOCOLS = ["http/1.1", "h2c"]
_SHOWN = ("name", "application", "port", "ips", "route_config", "tcp", "rules", "mtls", "tls")


def listener_json(listener: Listener, snapshot: Snapshot) -> Json:
    """One listener; the chain for all other connections is its ``default_filter_chain``.

    Where only mutual TLS may enter there is none: what matches no chain is closed.
    """
    first, *more = listener.bind or ("0.0.0.0",)
    logs = _logs(snapshot, listener.direction)
    chains: list[Json] = []
    default: Json = {}
    for chain in listener.chains:
        made = _chains(chain, listener, snapshot, logs)
        if listener.captured and "filter_chain_match" not in made[-1]:
            default = made.pop()
        chains += made
    body = {
        "name": listener.name,
        "address": socket_address(first, listener.port),
        "additional_addresses": [{"address": socket_address(ip, listener.port)} for ip in more],
        "filter_chains": chains,
        "default_filter_chain": default,
        "listener_filters": _listener_filters(listener),
        "traffic_direction": listener.direction.name,
        "transparent": listener.transparent or None,
        "metadata": metadata(
            listener.origin,
            listener,
            ("name", "direction", "captured", "port", "bind", "chains", "transparent"),
        ),
    }
    return typed(LISTENER, without_empty(body))


def _listener_filters(listener: Listener) -> list[Json]:
    found = []
    if listener.captured:
        kind = typed(_EXTENSIONS + "listener.original_dst.v3.OriginalDst", {})
        found.append({"name": "envoy.filters.listener.original_dst", "typed_config": kind})
    if any(
        chain.mtls or chain.tls or any(rule.sni for rule in chain.rules)
        for chain in listener.chains
    ):
        kind = typed(_EXTENSIONS + "listener.tls_inspector.v3.TlsInspector", {})
        found.append({"name": "envoy.filters.listener.tls_inspector", "typed_config": kind})
    if any(chain.application is Application.DETECT for chain in listener.chains):
        kind = typed(_EXTENSIONS + "listener.http_inspector.v3.HttpInspector", {})
        found.append({"name": "envoy.filters.listener.http_inspector", "typed_config": kind})
    return found


def _chains(
    chain: FilterChain, listener: Listener, snapshot: Snapshot, logs: list[Json]
) -> list[Json]:
    """One chain of the model as those of Envoy's: its rules', HTTP's, and the rest's.

    Where mutual TLS is ended, each stands there once for what comes that way.
    """
    rules = [_rule(chain, rule, logs) for rule in chain.rules]
    own = _own_chains(chain, listener, snapshot, logs)
    if chain.tls is not None:
        return rules + [_secured(each, chain.tls) for each in own]
    if not chain.mtls:
        return rules + own
    mutual = [_mutual(each, chain, snapshot.mesh_tls) for each in own]
    return rules + mutual + ([] if chain.refuse_plaintext else own)


def _secured(shown: Json, tls: DownstreamTls) -> Json:
    """A port's own TLS, whoever comes."""
    match = {**shown.get("filter_chain_match", {}), "transport_protocol": "tls"}
    if "application_protocols" in match:
        match["application_protocols"] = OWN_ALPN
    return {**shown, "filter_chain_match": match, "transport_socket": own_socket(tls)}


def _mutual(shown: Json, chain: FilterChain, parameters: TlsParameters) -> Json:
    """Istio (`listener_inbound.go`): told by ALPN, but for ports that let nothing else in."""
    match = {**shown.get("filter_chain_match", {}), "transport_protocol": "tls"}
    if "application_protocols" in match:
        match["application_protocols"] = MESH_HTTP
    elif not chain.refuse_plaintext:
        detected = chain.application is Application.DETECT
        match["application_protocols"] = MESH_TCP if detected else MESH_TCP + MESH_HTTP
    return {**shown, "filter_chain_match": match, "transport_socket": mutual_socket(parameters)}


def _rule(chain: FilterChain, rule: TcpRoute, logs: list[Json]) -> Json:
    match = _match(chain)
    if rule.subnets:
        match["prefix_ranges"] = [_range(subnet) for subnet in rule.subnets]
    if rule.sni:
        match["server_names"] = list(rule.sni)
    more = metadata(rule.origin, rule, ("clusters", "subnets", "sni"))
    return _chain(chain.name, match, _tcp_filter(rule, logs), more)


def _range(subnet: str) -> Json:
    network = ip_network(subnet, strict=False)
    return {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}


def _own_chains(
    chain: FilterChain, listener: Listener, snapshot: Snapshot, logs: list[Json]
) -> list[Json]:
    http = _http_filter(chain, listener, snapshot, logs)
    tcp = None if chain.tcp is None else _tcp_filter(chain.tcp, logs)
    shown: tuple[str, ...] = _SHOWN
    if chain.application is Application.HTTP and chain.route_config:
        shown = tuple(name for name in _SHOWN if name != "tcp")  # it takes what is not HTTP
    more = metadata(chain.origin, chain, shown)
    match = _match(chain)
    if chain.application is Application.TCP or http is None:
        return [_chain(chain.name, match, tcp, more)]
    if chain.application is Application.HTTP or tcp is None:
        return [_chain(chain.name, match, http, more)]
    sniffed = {**match, "application_protocols": HTTP_PROTOCOLS}
    return [
        _chain(f"{chain.name}-catchall-http", sniffed, http, more),
        _chain(chain.name, match, tcp, more),
    ]


def _chain(name: str, match: Json, network: Json | None, more: Json) -> Json:
    return without_empty(
        {
            "filter_chain_match": match,
            "filters": [] if network is None else [network],
            "name": name,
            "metadata": more,
        }
    )


def _match(chain: FilterChain) -> Json:
    networks = [ip_network(ip) for ip in chain.ips]
    ranges = [
        {"address_prefix": str(each.network_address), "prefix_len": each.prefixlen}
        for each in networks
    ]
    return without_empty({"destination_port": chain.port or None, "prefix_ranges": ranges})


def _http_filter(
    chain: FilterChain, listener: Listener, snapshot: Snapshot, logs: list[Json]
) -> Json | None:
    config: Json = {
        "stat_prefix": f"{listener.direction.value}_{chain.name}",
        "http2_protocol_options": {"allow_connect": True},
        # Envoy has no word for any; the one that Istio allows is the one that is common.
        "upgrade_configs": [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}],
    }
    if listener.direction is Direction.INBOUND:
        told = snapshot.client_cert
        config["forward_client_cert_details"] = told.mode.value
        config["set_current_client_cert_details"] = without_empty(asdict(told.details))
    if chain.route_config:
        config["rds"] = {"config_source": ADS, "route_config_name": chain.route_config}
    elif chain.tcp is not None:
        config["route_config"] = inline_table(chain.tcp.clusters[0].cluster)
    else:
        return None
    kind = typed(_EXTENSIONS + "http.router.v3.Router", {})
    config["http_filters"] = [{"name": "envoy.filters.http.router", "typed_config": kind}]
    if logs:
        config["access_log"] = logs
    name = f"{_EXTENSIONS}network.{_MANAGER}.v3.HttpConnectionManager"
    return {"name": HTTP_FILTER, "typed_config": typed(name, config)}


def _tcp_filter(route: TcpRoute, logs: list[Json]) -> Json:
    config: Json = {"stat_prefix": route.clusters[0].cluster, **_tcp_target(route)}
    if logs:
        config["access_log"] = logs
    name = _EXTENSIONS + "network.tcp_proxy.v3.TcpProxy"
    return {"name": TCP_FILTER, "typed_config": typed(name, config)}


def _tcp_target(route: TcpRoute) -> Json:
    if len(route.clusters) == 1:
        return {"cluster": route.clusters[0].cluster}
    arms = [{"name": arm.cluster, "weight": arm.weight} for arm in route.clusters]
    return {"weighted_clusters": {"clusters": arms}}


def _logs(snapshot: Snapshot, direction: Direction) -> list[Json]:
    """The access logs of one direction, as Envoy's file access log."""
    return [
        _log(log)
        for log in snapshot.access_logs
        if log.path and (log.outbound if direction is Direction.OUTBOUND else log.inbound)
    ]


def _log(log: AccessLog) -> Json:
    form: Json = (
        {"json_format": dict(log.json)}
        if log.json
        else {"text_format_source": {"inline_string": log.text + "\n"}}
    )
    config = {"path": log.path, "log_format": form}
    kind = typed("extensions.access_loggers.file.v3.FileAccessLog", config)
    return {"name": "envoy.access_loggers.file", "typed_config": kind}


def inline_tables(snapshot: Snapshot) -> list[Json]:
    """Route tables that stand in a chain itself: those of inbound ports."""
    found: dict[str, Json] = {}
    for listener in snapshot.listeners.values():
        for chain in listener.chains:
            if chain.application is not Application.TCP and not chain.route_config and chain.tcp:
                cluster = chain.tcp.clusters[0].cluster
                found.setdefault(cluster, inline_table(cluster))
    return list(found.values())


def listeners_text(snapshot: Snapshot) -> str:
    """`/listeners`: a line an address, ``NAME::ADDRESS:PORT``."""
    lines = []
    for listener in snapshot.listeners.values():
        for ip in listener.bind:
            place = f"[{ip}]" if ":" in ip else ip
            lines.append(f"{listener.name}::{place}:{listener.port}\n")
    return "".join(lines)


def listeners_status(snapshot: Snapshot) -> Json:
    """`/listeners?format=json` (envoy.admin.v3.Listeners)."""
    return {
        "listener_statuses": [
            without_empty(
                {
                    "name": listener.name,
                    "local_address": socket_address(listener.bind[0], listener.port),
                    "additional_local_addresses": [
                        socket_address(ip, listener.port) for ip in listener.bind[1:]
                    ],
                }
            )
            for listener in snapshot.listeners.values()
            if listener.bind
        ]
    }
