"""`/clusters`: all endpoints, with counts summed over all workers (envoy.admin.v3.Clusters)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meshproxy.base.addr import Address
from meshproxy.model.cluster import Cluster
from meshproxy.model.snapshot import Snapshot
from meshproxy.show.clusters import HEALTHY, cluster_type
from meshproxy.show.shape import Json, socket_address, without_empty

_UNLIMITED = 4_294_967_295  # Istio's bounds, unless a DestinationRule says otherwise
_LIMITS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")


class Counts(NamedTuple):
    """One endpoint's counts, under Envoy's names. ``rq_error`` are answers of 5xx, and resets."""

    cx_active: int = 0
    cx_connect_fail: int = 0
    cx_total: int = 0
    rq_active: int = 0
    rq_error: int = 0
    rq_success: int = 0
    rq_timeout: int = 0
    rq_total: int = 0


NOTHING = Counts()
_GAUGES = frozenset({"cx_active", "rq_active"})
HostCounts = Mapping[tuple[str, str, int], tuple[int, ...]]
"""By cluster, IP and port: values in the order of `Counts`."""


def merge_hosts(dumps: Iterable[HostCounts]) -> dict[tuple[str, str, int], Counts]:
    """The sum of what several workers told."""
    total: dict[tuple[str, str, int], Counts] = {}
    for dump in dumps:
        for key, values in dump.items():
            have = total.get(key, NOTHING)
            total[key] = Counts(*(a + b for a, b in zip(have, values, strict=True)))
    return total


class Host(NamedTuple):
    """One endpoint of a cluster as it is used."""

    address: Address
    weight: int
    hostname: str
    counts: Counts


def _by_cluster(
    counts: Mapping[tuple[str, str, int], Counts],
) -> dict[str, dict[Address, Counts]]:
    found: dict[str, dict[Address, Counts]] = {}
    for (cluster, ip, port), each in counts.items():
        found.setdefault(cluster, {})[Address(ip, port)] = each
    return found


def _hosts(cluster: Cluster, used: Mapping[Address, Counts]) -> list[Host]:
    found = []
    left = dict(used)
    for endpoint in cluster.endpoints:
        address = Address(*endpoint.address[:2])
        if address.ip:  # else DNS has not said yet what its name means
            counts = left.pop(address, NOTHING)
            found.append(Host(address, endpoint.weight, endpoint.name, counts))
    found += [Host(address, 1, "", each) for address, each in left.items()]
    return found


def clusters_text(snapshot: Snapshot, counts: Mapping[tuple[str, str, int], Counts]) -> str:
    """Envoy's lines: ``NAME::ADDRESS::cx_active::0``."""
    used = _by_cluster(counts)
    lines: list[str] = []
    for cluster in snapshot.clusters.values():
        lines += _cluster_lines(cluster)
        for host in _hosts(cluster, used.get(cluster.name, {})):
            start = f"{cluster.name}::{host.address}::"
            lines += [start + rest for rest in _host_lines(host)]
    return "".join(f"{line}\n" for line in lines)


def _cluster_lines(cluster: Cluster) -> list[str]:
    lines = [f"observability_name::{cluster.name}"]
    for priority in ("default", "high"):
        lines += [f"{priority}_priority::{name}::{_UNLIMITED}" for name in _LIMITS]
    lines.append("added_via_api::true")
    if cluster_type(cluster) == "EDS":
        lines.append(f"eds_service_name::{cluster.name}")
    return [f"{cluster.name}::{line}" for line in lines]


def _host_lines(host: Host) -> list[str]:
    lines = [f"{name}::{value}" for name, value in host.counts._asdict().items()]
    return [
        *lines,
        f"hostname::{host.hostname}",
        "health_flags::healthy",
        f"weight::{host.weight}",
        "region::",
        "zone::",
        "sub_zone::",
        "canary::false",
        "priority::0",
        "success_rate::-1",
        "local_origin_success_rate::-1",
    ]


def clusters_status(snapshot: Snapshot, counts: Mapping[tuple[str, str, int], Counts]) -> Json:
    """`/clusters?format=json`. A success rate is left out while it is not known, as by Envoy."""
    used = _by_cluster(counts)
    return {
        "cluster_statuses": [
            without_empty(
                {
                    "name": cluster.name,
                    "added_via_api": True,
                    "host_statuses": [
                        _host_status(host) for host in _hosts(cluster, used.get(cluster.name, {}))
                    ],
                    "circuit_breakers": {
                        "thresholds": [_thresholds("DEFAULT"), _thresholds("HIGH")]
                    },
                    "observability_name": cluster.name,
                    "eds_service_name": cluster.name if cluster_type(cluster) == "EDS" else "",
                }
            )
            for cluster in snapshot.clusters.values()
        ]
    }


def _thresholds(priority: str) -> Json:
    found: Json = {} if priority == "DEFAULT" else {"priority": priority}
    return {**found, **dict.fromkeys(_LIMITS, _UNLIMITED)}


def _host_status(host: Host) -> Json:
    """64-bit numbers are texts in protobuf's JSON; a counter of 0 has no value."""
    return without_empty(
        {
            "address": socket_address(host.address.ip, host.address.port),
            "stats": [_stat(name, value) for name, value in host.counts._asdict().items()],
            "health_status": {"eds_health_status": HEALTHY},
            "weight": host.weight,
            "hostname": host.hostname,
            "locality": {},
        }
    )


def _stat(name: str, value: int) -> Json:
    found: Json = {"type": "GAUGE"} if name in _GAUGES else {}
    if value:
        found["value"] = str(value)
    return {"name": name, **found}
