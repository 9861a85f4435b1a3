"""Upstream clusters: one for each port of each service, and one more for each of its subsets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from meshproxy.model.cluster import Balance, Cluster, ClusterKind, Endpoint, UpstreamHttp
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.names import (
    BLACK_HOLE,
    INBOUND_PASSTHROUGH,
    PASSTHROUGH,
    outbound_cluster,
)
from meshproxy.translate.assembly.rules import Policy, RuleBook, RuleSet
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.kinds.destination_rule import Subset
from meshproxy.translate.kinds.service import ServicePort
from meshproxy.translate.kinds.service_entry import Resolution

_PASSTHROUGH_IDLE = 300.0  # Istio: 5 minutes for PassthroughCluster
# What a sidecar dials its own app from, so that redirect rules let it through (Istio).
SOURCE_V4, SOURCE_V6 = "127.0.0.6", "::6"


@dataclass(frozen=True, slots=True)
class Defaults:
    """Times that hold where no rule says otherwise."""

    connect_timeout: float
    upstream_idle: float
    app_idle: float


def fixed_clusters(defaults: Defaults) -> dict[str, Cluster]:
    """The clusters that every sidecar has."""
    passthrough = Cluster(
        PASSTHROUGH,
        ClusterKind.ORIGINAL_DST,
        balance=Balance.PASSTHROUGH,
        http=UpstreamHttp.AS_DOWNSTREAM,
        connect_timeout=defaults.connect_timeout,
        idle_timeout=_PASSTHROUGH_IDLE,
    )
    inbound = Cluster(
        INBOUND_PASSTHROUGH,
        ClusterKind.ORIGINAL_DST,
        balance=Balance.PASSTHROUGH,
        http=UpstreamHttp.AS_DOWNSTREAM,
        connect_timeout=defaults.connect_timeout,
        idle_timeout=defaults.app_idle,
        source_v4=SOURCE_V4,
        source_v6=SOURCE_V6,
    )
    black_hole = Cluster(BLACK_HOLE, ClusterKind.BLACK_HOLE)
    return {cluster.name: cluster for cluster in (passthrough, inbound, black_hole)}


def service_clusters(
    service: MeshService, book: RuleBook, defaults: Defaults, memo: Memo
) -> tuple[Cluster, ...]:
    """All clusters of a service; none of an alias, whose callers go to what it stands for."""
    if service.alias_of:
        return ()
    rules = book.of(service)
    return memo.get(
        ("clusters", service.host),
        (service, rules.rules, rules.origin, defaults.connect_timeout, defaults.upstream_idle),
        partial(_build, service, rules, defaults),
    )


def _build(service: MeshService, rules: RuleSet, defaults: Defaults) -> tuple[Cluster, ...]:
    found = []
    subsets = rules.subsets
    for port in service.ports:
        found.append(_cluster(service, port, None, rules, defaults))
        found += [_cluster(service, port, subset, rules, defaults) for subset in subsets.values()]
    return tuple(found)


def _cluster(
    service: MeshService,
    port: ServicePort,
    subset: Subset | None,
    rules: RuleSet,
    defaults: Defaults,
) -> Cluster:
    policy = rules.policy(port.number, subset)
    endpoints = service.endpoints.get(port.number, ())
    if subset is not None:
        endpoints = tuple(each for each in endpoints if _in_subset(each, subset))
    resolution = service.resolution(port.number)
    kind = _kind(resolution, endpoints)
    if service.headless:
        kind = ClusterKind.ORIGINAL_DST
    if policy.balance is Balance.PASSTHROUGH or resolution is Resolution.NONE:
        kind, endpoints = ClusterKind.ORIGINAL_DST, ()
    return Cluster(
        outbound_cluster(port.number, service.host, subset.name if subset else ""),
        kind,
        endpoints,
        policy.balance,
        port.protocol.upstream,
        service.name,
        defaults.connect_timeout
        if policy.pool.connect_timeout is None
        else policy.pool.connect_timeout,
        defaults.upstream_idle if policy.pool.idle_timeout is None else policy.pool.idle_timeout,
        refusal=_refusal(policy, rules, resolution),
        origin=rules.origin if rules.rules else service.origin,
        keepalive=policy.pool.keepalive,
    )


def _in_subset(endpoint: Endpoint, subset: Subset) -> bool:
    labels = dict(endpoint.workload.labels)
    return all(labels.get(name) == value for name, value in subset.labels.items())


def _kind(resolution: Resolution, endpoints: tuple[Endpoint, ...]) -> ClusterKind:
    if not any(endpoint.name for endpoint in endpoints):
        return ClusterKind.STATIC
    if resolution is Resolution.DNS_ROUND_ROBIN:
        return ClusterKind.LOGICAL_DNS
    return ClusterKind.STRICT_DNS


def _refusal(policy: Policy, rules: RuleSet, resolution: Resolution) -> str:
    """TLS that is asked for and not originated here must not become plain text in silence."""
    if resolution is Resolution.DYNAMIC_DNS:
        return "resolution DYNAMIC_DNS is not implemented in this build"
    if policy.tls == "DISABLE":
        return ""
    meta = rules.rules[0].meta
    return f"{meta} asks for TLS mode {policy.tls}, which is not implemented in this build"
