"""Model objects with defaults, so that a test only says what it is about."""

from __future__ import annotations

from collections.abc import Iterable

from meshproxy.base.addr import ServerAddr
from meshproxy.model.cluster import Balance, Cluster, ClusterKind, Endpoint, Service
from meshproxy.model.listener import Application, Direction, FilterChain, Listener
from meshproxy.model.route import (
    Forward,
    MatchKind,
    Route,
    RouteConfig,
    RouteMatch,
    StringMatch,
    TcpRoute,
    VirtualHost,
    WeightedCluster,
)
from meshproxy.model.settings import DEFAULTS, Settings
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.telemetry import AccessLog
from meshproxy.model.workload import Workload


def a_workload(name: str = "shop-v1", **changes: str) -> Workload:
    app, _, version = name.partition("-")
    facts = {
        "name": name,
        "namespace": "default",
        "app": app,
        "version": version or "v1",
        "canonical_name": app,
        "canonical_revision": version or "latest",
        "cluster_id": "Kubernetes",
    }
    return Workload(**{**facts, **changes})  # type: ignore[arg-type]


def an_endpoint(address: str = "10.0.0.1:80", weight: int = 1, name: str = "shop-v1") -> Endpoint:
    ip, _, port = address.rpartition(":")
    return Endpoint(ServerAddr(ip.strip("[]"), int(port)), weight, a_workload(name))


def a_cluster(name: str = "outbound|80|v1|shop", *addresses: str, **changes: object) -> Cluster:
    """A cluster of Istio's name form, with the service that the name says."""
    parts = name.split("|")
    service = Service(f"{parts[-1]}.default.svc.cluster.local", parts[-1], "default")
    facts: dict[str, object] = {
        "name": name,
        "endpoints": tuple(an_endpoint(address) for address in addresses or ("10.0.0.1:80",)),
        "service": service,
        "balance": Balance.ROUND_ROBIN,
    }
    return Cluster(**{**facts, **changes})  # type: ignore[arg-type]


def passthrough(name: str = "PassthroughCluster", **changes: object) -> Cluster:
    return Cluster(name, kind=ClusterKind.ORIGINAL_DST, **changes)  # type: ignore[arg-type]


def a_match(prefix: str = "/", exact: str = "") -> RouteMatch:
    if exact:
        return RouteMatch(path=StringMatch(MatchKind.EXACT, exact))
    return RouteMatch(path=StringMatch(MatchKind.PREFIX, prefix))


def a_route(
    *clusters: str | WeightedCluster, prefix: str = "/", name: str = "default", **changes: object
) -> Route:
    arms = tuple(
        arm if isinstance(arm, WeightedCluster) else WeightedCluster(arm)
        for arm in clusters or ("outbound|80|v1|shop",)
    )
    facts: dict[str, object] = {"match": a_match(prefix), "action": Forward(arms), "name": name}
    return Route(**{**facts, **changes})  # type: ignore[arg-type]


def a_host(*routes: Route, domains: tuple[str, ...] = ("shop",)) -> VirtualHost:
    return VirtualHost(f"{domains[0]}:80", domains, routes or (a_route(),))


def outbound(
    hosts: Iterable[VirtualHost] = (),
    clusters: Iterable[Cluster] = (),
    *,
    captured: bool = True,
    allow_any: bool = True,
    settings: Settings = DEFAULTS,
    access_logs: tuple[AccessLog, ...] = (),
    **chain: object,
) -> Snapshot:
    """A sidecar with one outbound listener ``out`` whose HTTP is routed by these hosts."""
    found = list(hosts) or [a_host()]
    facts: dict[str, object] = {
        "name": "0.0.0.0_80",
        "application": Application.HTTP,
        "port": 80,
        "route_config": "80",
    }
    chains = (
        FilterChain(**{**facts, **chain}),  # type: ignore[arg-type]
        FilterChain(
            "rest",
            Application.DETECT,
            tcp=TcpRoute((WeightedCluster("PassthroughCluster"),)),
        ),
    )
    return Snapshot(
        workload=a_workload("front-v1"),
        listeners={
            "out": Listener(
                "out",
                Direction.OUTBOUND,
                captured,
                15001,
                ("0.0.0.0",),
                chains if captured else chains[:1],
            )
        },
        route_configs={"80": RouteConfig("80", tuple(f"80/{host.name}" for host in found))},
        hosts={f"80/{host.name}": host for host in found},
        clusters={
            cluster.name: cluster for cluster in (*(clusters or (a_cluster(),)), passthrough())
        },
        access_logs=access_logs,
        settings=settings,
        outbound_allow_any=allow_any,
    )


def inbound(
    application: Application = Application.HTTP,
    *,
    settings: Settings = DEFAULTS,
    peers: dict[str, Workload] | None = None,
    access_logs: tuple[AccessLog, ...] = (),
    keep_source: bool = False,
    **chain: object,
) -> Snapshot:
    """A sidecar with one inbound listener ``in`` before an app on port 8080."""
    cluster = passthrough(
        "inbound|8080||",
        service=Service("shop.default.svc.cluster.local", "shop", "default"),
        source_v4="" if keep_source else "127.0.0.6",
        source_v6="" if keep_source else "::6",
        keep_source=keep_source,
        idle_timeout=settings.app_idle_timeout,
    )
    facts: dict[str, object] = {
        "name": "virtualInbound_8080",
        "application": application,
        "port": 8080,
        "tcp": TcpRoute((WeightedCluster(cluster.name),)),
    }
    only = FilterChain(**{**facts, **chain})  # type: ignore[arg-type]
    return Snapshot(
        workload=a_workload("shop-v1"),
        listeners={
            "in": Listener("in", Direction.INBOUND, True, 15006, ("0.0.0.0",), (only,)),
        },
        clusters={cluster.name: cluster},
        peers=peers or {},
        access_logs=access_logs,
        settings=settings,
    )
