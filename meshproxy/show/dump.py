"""`/config_dump`: the snapshot that runs, in Envoy's envelope (envoy.admin.v3.ConfigDump)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from meshproxy.model.cluster import ClusterKind
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.workload import Workload
from meshproxy.show.clusters import cluster_json, endpoints_json
from meshproxy.show.listeners import inline_tables, listener_json
from meshproxy.show.routes import ROUTES, table_json
from meshproxy.show.secrets import Material, secrets_section
from meshproxy.show.shape import Json, others, plain, typed, without_empty

_ADMIN = "admin.v3."


class Facts(NamedTuple):
    """What the snapshot itself does not know.

    ``version`` numbers the configuration, ``updated`` is when it was taken (RFC 3339).
    """

    program: str
    version: str
    updated: str
    admin_port: int = 15000


def configs(
    snapshot: Snapshot,
    facts: Facts,
    endpoints: bool = False,
    secrets: Iterable[Material] = (),
) -> list[Json]:
    """All sections, in Envoy's order; endpoints only where they are asked for, as with Envoy."""
    found = [_bootstrap(snapshot, facts), _clusters(snapshot, facts)]
    if endpoints:
        found.append(_endpoints(snapshot, facts))
    found += [_listeners(snapshot, facts), _routes(snapshot, facts)]
    found.append(_section("Secrets", secrets_section(secrets, facts.version)))
    return found


def _section(name: str, body: Json) -> Json:
    return typed(f"{_ADMIN}{name}ConfigDump", body)


def _part(facts: Facts, name: str, value: Json) -> Json:
    return {"version_info": facts.version, name: value, "last_updated": facts.updated}


def _bootstrap(snapshot: Snapshot, facts: Facts) -> Json:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": facts.admin_port}}
    bootstrap = {"node": node_json(snapshot, facts.program), "admin": {"address": address}}
    return _section("Bootstrap", {"bootstrap": bootstrap, "last_updated": facts.updated})


def node_json(snapshot: Snapshot, program: str) -> Json:
    """Who this is (envoy.config.core.v3.Node), with Istio's id and metadata keys."""
    own = snapshot.workload
    ip = next((ip for ip, workload in snapshot.peers.items() if workload == own), "127.0.0.1")
    return {
        "id": f"sidecar~{ip}~{own.name}.{own.namespace}~{own.namespace}.svc.cluster.local",
        "cluster": f"{own.canonical_name}.{own.namespace}",
        "metadata": _node_metadata(own, ip),
        "user_agent_name": program.partition("/")[0],
        "user_agent_version": program.partition("/")[2],
    }


def _node_metadata(own: Workload, ip: str) -> Json:
    return without_empty(
        {
            "NAME": own.name,
            "NAMESPACE": own.namespace,
            "WORKLOAD_NAME": own.name,
            "SERVICE_ACCOUNT": own.service_account,
            "CLUSTER_ID": own.cluster_id,
            "INSTANCE_IPS": ip,
            "LABELS": dict(own.labels),
        }
    )


def _clusters(snapshot: Snapshot, facts: Facts) -> Json:
    made = [_part(facts, "cluster", cluster_json(each)) for each in snapshot.clusters.values()]
    return _section(
        "Clusters", without_empty({"version_info": facts.version, "dynamic_active_clusters": made})
    )


def _endpoints(snapshot: Snapshot, facts: Facts) -> Json:
    made = [
        _part(facts, "endpoint_config", endpoints_json(cluster))
        for cluster in snapshot.clusters.values()
        if cluster.endpoints or cluster.kind is ClusterKind.STATIC
    ]
    return _section("Endpoints", without_empty({"dynamic_endpoint_configs": made}))


def _listeners(snapshot: Snapshot, facts: Facts) -> Json:
    made = [
        {
            "name": listener.name,
            "active_state": _part(facts, "listener", listener_json(listener, snapshot)),
        }
        for listener in snapshot.listeners.values()
    ]
    return _section(
        "Listeners", without_empty({"version_info": facts.version, "dynamic_listeners": made})
    )


def _routes(snapshot: Snapshot, facts: Facts) -> Json:
    """Tables that listeners name, and those that stand in a chain itself."""
    dynamic = [
        _part(facts, "route_config", table_json(snapshot, name)) for name in snapshot.route_configs
    ]
    static = [
        {"route_config": typed(ROUTES, table), "last_updated": facts.updated}
        for table in inline_tables(snapshot)
    ]
    return _section(
        "Routes",
        without_empty({"static_route_configs": static, "dynamic_route_configs": dynamic}),
    )


def own_part(snapshot: Snapshot) -> Json:
    """What Envoy has no section for: the sidecar's own knobs and what holds for all of it."""
    tables = ("listeners", "route_configs", "hosts", "clusters", "peers", "workload", "settings")
    return {
        "settings": plain(snapshot.settings),
        "workload": plain(snapshot.workload),
        **others(snapshot, *tables),
        "outbound_allow_any": snapshot.outbound_allow_any,
        "trust_domain": snapshot.trust_domain,
        "outbound_rest": snapshot.outbound_rest,
    }
