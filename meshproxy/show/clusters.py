"""Clusters (envoy.config.cluster.v3.Cluster) and endpoints (endpoint.v3.ClusterLoadAssignment).

Names of kinds are those that Istio's own clusters have: a service's endpoints are `EDS`.
"""

from __future__ import annotations

from meshproxy.model.cluster import (
    NO_SERVICE,
    Balance,
    Cluster,
    ClusterKind,
    Endpoint,
    UpstreamHttp,
)
from meshproxy.model.workload import UNKNOWN
from meshproxy.show.shape import (
    ADS,
    Json,
    duration,
    metadata,
    own_metadata,
    socket_address,
    typed,
    without_empty,
)
from meshproxy.show.tls import MUTUAL, cluster_sockets

CLUSTER = "config.cluster.v3.Cluster"
ASSIGNMENT = "config.endpoint.v3.ClusterLoadAssignment"
_HTTP_OPTIONS = "extensions.upstreams.http.v3.HttpProtocolOptions"
_OPTIONS_NAME = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_SHOWN = (
    "name",
    "kind",
    "endpoints",
    "balance",
    "http",
    "service",
    "connect_timeout",
    "idle_timeout",
    "keepalive",
    "source_v4",
    "source_v6",
    "tls",
    "proxy_protocol",
)
HEALTHY = "HEALTHY"


def cluster_json(cluster: Cluster) -> Json:
    """One cluster. ``refusal`` and what else Envoy has no word for are in its metadata."""
    kind = cluster_type(cluster)
    body = {
        "name": cluster.name,
        "type": kind,
        "connect_timeout": duration(cluster.connect_timeout),
        "lb_policy": _policy(cluster),
        "typed_extension_protocol_options": {_OPTIONS_NAME: _http(cluster)},
        "metadata": metadata(cluster.origin, cluster, _SHOWN, **_istio(cluster)),
        **cluster_sockets(cluster),
    }
    if kind == "EDS":
        body["eds_cluster_config"] = {"eds_config": ADS, "service_name": cluster.name}
    elif kind != "ORIGINAL_DST":
        body["load_assignment"] = assignment(cluster)
    if cluster.keepalive is not None:
        probes = cluster.keepalive
        body["upstream_connection_options"] = {
            "tcp_keepalive": {
                name: value
                for name, value in (
                    ("keepalive_probes", probes.probes),
                    ("keepalive_time", probes.idle),
                    ("keepalive_interval", probes.interval),
                )
                if value
            }
        }
    if cluster.source_v4:
        body["upstream_bind_config"] = _bind(cluster)
    return typed(CLUSTER, without_empty(body))


def cluster_type(cluster: Cluster) -> str:
    """Envoy's word: what is found for a service is discovered, what is written down is static."""
    if cluster.kind is ClusterKind.STATIC:
        return "EDS" if cluster.name.startswith("outbound|") else "STATIC"
    if cluster.kind is ClusterKind.BLACK_HOLE:
        return "STATIC"
    return cluster.kind.name


def _policy(cluster: Cluster) -> str:
    if cluster.balance is Balance.PASSTHROUGH or cluster.kind is ClusterKind.ORIGINAL_DST:
        return "CLUSTER_PROVIDED"
    return cluster.balance.name


def _http(cluster: Cluster) -> Json:
    options: Json = {
        "common_http_protocol_options": {"idle_timeout": duration(cluster.idle_timeout)}
    }
    if cluster.http is UpstreamHttp.AS_DOWNSTREAM:
        options["use_downstream_protocol_config"] = {"http2_protocol_options": {}}
    elif cluster.http is not UpstreamHttp.HTTP1:
        options["explicit_http_config"] = {"http2_protocol_options": {}}
    else:
        options["explicit_http_config"] = {"http_protocol_options": {}}
    return typed(_HTTP_OPTIONS, options)


def _bind(cluster: Cluster) -> Json:
    found: Json = {"source_address": {"address": cluster.source_v4, "port_value": 0}}
    if cluster.source_v6:
        found["extra_source_addresses"] = [
            {"address": {"address": cluster.source_v6, "port_value": 0}}
        ]
    return found


def _istio(cluster: Cluster) -> Json:
    """What Istio notes about a cluster: its service, and for inbound ones the port."""
    parts = cluster.name.split("|")
    found: Json = {}
    if cluster.service != NO_SERVICE:
        service = cluster.service
        found["services"] = [
            {"host": service.host, "name": service.name, "namespace": service.namespace}
        ]
    if len(parts) > 3:
        found["default_original_port"] = int(parts[1]) if parts[1].isdigit() else parts[1]
        found["subset"] = parts[2]
    return without_empty(found)


def assignment(cluster: Cluster) -> Json:
    """A cluster's endpoints."""
    return without_empty(
        {
            "cluster_name": cluster.name,
            "endpoints": [{"lb_endpoints": [_endpoint(each) for each in cluster.endpoints]}]
            if cluster.endpoints
            else [],
        }
    )


def _endpoint(endpoint: Endpoint) -> Json:
    workload = endpoint.workload
    istio = {}
    if workload is not UNKNOWN and workload != UNKNOWN:
        # NAME;NAMESPACE;CANONICAL;REVISION;CLUSTER, as Istio's telemetry reads it.
        names = (
            workload.name,
            workload.namespace,
            workload.canonical_name,
            workload.canonical_revision,
            workload.cluster_id,
        )
        istio["workload"] = ";".join(names)
    shown = ("address", "weight", "workload", "name", "mtls")
    own = own_metadata(endpoint.origin, endpoint, *shown)
    host = endpoint.name or endpoint.address.ip
    mutual = MUTUAL if endpoint.mtls else {}
    found = without_empty({**mutual, "istio": istio, "meshproxy": own})
    return without_empty(
        {
            "endpoint": {"address": socket_address(host, endpoint.address.port)},
            "health_status": HEALTHY,
            "metadata": {"filter_metadata": found} if found else {},
            "load_balancing_weight": endpoint.weight,
        }
    )


def endpoints_json(cluster: Cluster) -> Json:
    return typed(ASSIGNMENT, assignment(cluster))
