"""Envoy, set up as Istio sets up a sidecar's outbound listener, without Istio's own filters.

Istio's proxy also runs its metadata exchange and statistics filters, which are not part of a plain
Envoy: Istio's sidecars do more than this row.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.machine.tools import find, version
from benchmarks.peers.peer import Launch, Peer, Place
from meshproxy.translate.kinds.access_log import DEFAULT_JSON, DEFAULT_TEXT

_UNLIMITED = 4_294_967_295  # Istio's breakers, unless a DestinationRule says otherwise
# As long as Istio's names are: each stands in a line of the access log.
_V1 = "outbound|80|v1|inv.default.svc.cluster.local"
_V2 = "outbound|80|v2|inv.default.svc.cluster.local"
_TYPES = "type.googleapis.com/envoy.extensions."
# Istio's default retry policy.
_RETRIES = {
    "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
    "num_retries": 2,
    "host_selection_retry_max_attempts": 5,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": _TYPES + "retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
}


def envoy(name: str = "envoy", log: str = "json") -> Peer:
    """``log``: json, text or off."""
    said = "no access log" if log == "off" else f"{log} access log"
    return Peer(
        name,
        f"weighted route 90:10, Istio's retry policy and breakers, {said}",
        lambda place: _prepare(place, log),
        lambda: version("envoy", find("envoy")),
    )


def _prepare(place: Place, log: str) -> Launch:
    port = place.ports.take()
    command = command_for(place, "envoy.json", configuration(place, port, log))
    return Launch(command, port, logs=log != "off")


def command_for(place: Place, name: str, bootstrap: dict[str, Any]) -> list[str]:
    """Write a configuration; what runs it."""
    file = place.folder / name
    file.write_text(json.dumps(bootstrap, indent=1))
    return [
        *(find("envoy"), "-c", str(file), "--concurrency", str(place.workers), "-l", "error"),
        *("--disable-hot-restart", "--drain-time-s", "1"),
    ]


def configuration(place: Place, port: int, log: str) -> dict[str, Any]:
    """The whole bootstrap."""
    return {
        "admin": {"address": address(place.ports.take())},
        "static_resources": {
            "listeners": [
                {
                    "name": "outbound",
                    "address": address(port),
                    "filter_chains": [{"filters": [_connection_manager(log)]}],
                }
            ],
            "clusters": [
                cluster(name, upstream)
                for name, upstream in zip((_V1, _V2), place.upstreams, strict=True)
            ],
        },
    }


def _connection_manager(log: str) -> dict[str, Any]:
    route = {
        "timeout": "0s",
        "retry_policy": _RETRIES,
        "weighted_clusters": {
            "clusters": [{"name": _V1, "weight": 90}, {"name": _V2, "weight": 10}]
        },
    }
    host = {
        "name": "inv",
        "domains": ["*"],
        "include_request_attempt_count": True,
        "routes": [{"match": {"prefix": "/"}, "route": route}],
    }
    return filter_(
        "network.http_connection_manager",
        "HttpConnectionManager",
        stat_prefix="outbound",
        codec_type="AUTO",
        use_remote_address=False,
        generate_request_id=True,
        normalize_path=True,
        access_log=access_log(log),
        route_config={"name": "inv", "virtual_hosts": [host]},
        http_filters=[filter_("http.router", "Router")],
    )


def access_log(log: str) -> list[dict[str, Any]]:
    formats: dict[str, dict[str, Any]] = {
        "json": {"json_format": dict(DEFAULT_JSON)},
        "text": {"text_format_source": {"inline_string": DEFAULT_TEXT + "\n"}},
    }
    if log == "off":
        return []
    file = {
        "@type": _TYPES + "access_loggers.file.v3.FileAccessLog",
        "path": "/dev/stdout",
        "log_format": formats[log],
    }
    return [{"name": "envoy.access_loggers.file", "typed_config": file}]


def cluster(name: str, port: int) -> dict[str, Any]:
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {
        "name": name,
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, _UNLIMITED)]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    }


def speak_http2(cluster: dict[str, Any]) -> None:
    """As Istio does where a port's protocol is HTTP/2 or gRPC."""
    name = "upstreams.http.v3.HttpProtocolOptions"
    options: dict[str, Any] = {"explicit_http_config": {"http2_protocol_options": {}}}
    cluster["typed_extension_protocol_options"] = {
        f"envoy.extensions.{name}": {"@type": _TYPES + name, **options}
    }


def filter_(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    config = {"@type": f"{_TYPES}filters.{name}.v3.{kind}", **settings}
    return {"name": f"envoy.filters.{name}", "typed_config": config}


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
