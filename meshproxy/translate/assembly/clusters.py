"""Upstream clusters: one for each port of each service, and one more for each of its subsets."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from meshproxy.model.cluster import Balance, Cluster, ClusterKind, Endpoint, UpstreamHttp
from meshproxy.model.listener import Application
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.names import (
    BLACK_HOLE,
    INBOUND_PASSTHROUGH,
    PASSTHROUGH,
    outbound_cluster,
    outbound_sni,
)
from meshproxy.translate.assembly.rules import RuleBook, RuleSet
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.assembly.upstream_tls import (
    Credentials,
    auto_tls,
    rule_tls,
    service_names,
)
from meshproxy.translate.kinds.destination_rule import Subset
from meshproxy.translate.kinds.service import ServicePort
from meshproxy.translate.kinds.service_entry import Resolution
from meshproxy.translate.kinds.traffic_policy import Pool

_PASSTHROUGH_IDLE = 300.0  # Istio: 5 minutes for PassthroughCluster
# What a sidecar dials its own app from, so that redirect rules let it through (Istio).
SOURCE_V4, SOURCE_V6 = "127.0.0.6", "::6"


class Defaults(NamedTuple):
    """What holds where no rule says otherwise: times, and `h2UpgradePolicy`."""

    connect_timeout: float
    upstream_idle: float
    app_idle: float
    h2_upgrade: bool = False


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


def all_clusters(
    services: Iterable[MeshService],
    book: RuleBook,
    defaults: Defaults,
    credentials: Credentials,
    memo: Memo,
) -> dict[str, Cluster]:
    """The fixed ones and those of services, by name."""
    found = fixed_clusters(defaults)
    for service in services:
        for cluster in service_clusters(service, book, defaults, credentials, memo):
            found[cluster.name] = cluster
    return found


def service_clusters(
    service: MeshService,
    book: RuleBook,
    defaults: Defaults,
    credentials: Credentials,
    memo: Memo,
) -> tuple[Cluster, ...]:
    """All clusters of a service; none of an alias, whose callers go to what it stands for."""
    if service.alias_of:
        return ()
    rules = book.of(service)
    return memo.get(
        ("clusters", service.host),
        (
            service,
            rules.rules,
            rules.origin,
            defaults,
            credentials,
        ),
        partial(_build, service, rules, defaults, credentials),
    )


def _build(
    service: MeshService, rules: RuleSet, defaults: Defaults, credentials: Credentials
) -> tuple[Cluster, ...]:
    names = service_names(service, credentials)
    return tuple(
        _cluster(service, port, subset, rules, defaults, credentials, names)
        for port in service.ports
        for subset in (None, *rules.subsets.values())
    )


def _cluster(
    service: MeshService,
    port: ServicePort,
    subset: Subset | None,
    rules: RuleSet,
    defaults: Defaults,
    credentials: Credentials,
    names: tuple[str, ...],
) -> Cluster:
    policy = rules.policy(port.number, subset)
    known = endpoints = service.endpoints.get(port.number, ())
    if subset is not None:
        endpoints = tuple(each for each in endpoints if _in_subset(each, subset))
    resolution = service.resolution(port.number)
    kind = _kind(resolution, endpoints)
    if service.headless:
        kind = ClusterKind.ORIGINAL_DST
    if policy.balance is Balance.PASSTHROUGH or resolution is Resolution.NONE:
        kind, endpoints = ClusterKind.ORIGINAL_DST, ()
    name = subset.name if subset else ""
    sni = outbound_sni(port.number, service.host, name)
    if policy.tls is not None:
        tls = rule_tls(policy.tls, rules.rules[0].meta, service, sni, names, credentials)
    else:
        by_endpoint = bool(endpoints) or kind is not ClusterKind.ORIGINAL_DST
        judged = endpoints if by_endpoint else known
        tls = auto_tls(service, judged, by_endpoint, sni, names, credentials)
    return Cluster(
        outbound_cluster(port.number, service.host, name),
        kind,
        endpoints,
        policy.balance,
        _http(port, policy.pool, defaults.h2_upgrade),
        service.name,
        defaults.connect_timeout
        if policy.pool.connect_timeout is None
        else policy.pool.connect_timeout,
        defaults.upstream_idle if policy.pool.idle_timeout is None else policy.pool.idle_timeout,
        refusal=_refusal(resolution) or tls.refusal,
        origin=rules.origin if rules.rules else service.origin,
        keepalive=policy.pool.keepalive,
        tls=tls.tls,
        proxy_protocol=policy.proxy_protocol,
    )


def _http(port: ServicePort, pool: Pool, upgrade: bool) -> UpstreamHttp:
    """As the port's protocol has it, unless a rule or MeshConfig has HTTP/1.1 become HTTP/2.

    A rule may say so of a port of any protocol, MeshConfig only of one that is declared to be HTTP:
    where it is not, the server's sidecar speaks to its app as it is spoken to (Istio,
    `shouldH2Upgrade`). ``useClientProtocol`` makes both of no effect (Istio API).
    """
    declared = port.protocol.upstream
    if pool.client_protocol:
        return UpstreamHttp.AS_DOWNSTREAM
    if declared is UpstreamHttp.HTTP2 or pool.h2_upgrade is False:
        return declared
    if pool.h2_upgrade or (upgrade and port.protocol.application is Application.HTTP):
        return UpstreamHttp.UPGRADED
    return declared


def _in_subset(endpoint: Endpoint, subset: Subset) -> bool:
    labels = dict(endpoint.workload.labels)
    return all(labels.get(name) == value for name, value in subset.labels.items())


def _kind(resolution: Resolution, endpoints: tuple[Endpoint, ...]) -> ClusterKind:
    if not any(endpoint.name for endpoint in endpoints):
        return ClusterKind.STATIC
    if resolution is Resolution.DNS_ROUND_ROBIN:
        return ClusterKind.LOGICAL_DNS
    return ClusterKind.STRICT_DNS


def _refusal(resolution: Resolution) -> str:
    if resolution is Resolution.DYNAMIC_DNS:
        return "resolution DYNAMIC_DNS is not implemented in this build"
    return ""
