"""`/stats`: Envoy's names and values, a line each, from what the sidecar counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from meshproxy.base.regex import compile_pattern
from meshproxy.model.snapshot import Snapshot
from meshproxy.show.hosts import Counts

_CLUSTER = {
    "cx_active": "upstream_cx_active",
    "cx_connect_fail": "upstream_cx_connect_fail",
    "cx_total": "upstream_cx_total",
    "rq_active": "upstream_rq_active",
    "rq_timeout": "upstream_rq_timeout",
    "rq_total": "upstream_rq_total",
}
_STATES = {"LIVE": 0, "DRAINING": 1, "PRE_INITIALIZING": 2}


class Server(NamedTuple):
    """What is known of the program itself. ``uptime`` is in seconds."""

    state: str
    uptime: int
    workers: int
    serving: int
    accepted: int
    rejected: int
    generation: int
    days_until_expiry: int | None = None  # of the first certificate; None: there is none


def statistics(
    server: Server,
    snapshot: Snapshot | None,
    hosts: Mapping[tuple[str, str, int], Counts],
    plain: Mapping[tuple[str, tuple[str, ...]], int],
) -> dict[str, int]:
    """All statistics by name, in order. ``plain`` are the workers' rare counters."""
    found = {
        "server.live": int(server.state == "LIVE"),
        "server.state": _STATES[server.state],
        "server.uptime": server.uptime,
        "server.concurrency": server.workers,
        "listener_manager.workers_started": int(server.serving > 0),
        "listener_manager.total_listeners_active": len(snapshot.listeners) if snapshot else 0,
        "cluster_manager.active_clusters": len(snapshot.clusters) if snapshot else 0,
    }
    if server.days_until_expiry is not None:
        found["server.days_until_first_cert_expiring"] = server.days_until_expiry
    for source in ("cluster_manager.cds", "listener_manager.lds"):
        found[f"{source}.update_success"] = server.accepted
        found[f"{source}.update_rejected"] = server.rejected
        found[f"{source}.version"] = server.generation
    for cluster, counts in _by_cluster(hosts).items():
        for name, shown in _CLUSTER.items():
            found[f"cluster.{cluster}.{shown}"] = getattr(counts, name)
    if snapshot is not None:
        for name, model in snapshot.clusters.items():
            found[f"cluster.{name}.membership_total"] = len(model.endpoints)
    for (name, labels), count in plain.items():
        found[".".join((name, *labels))] = count
    return dict(sorted(found.items()))


def _by_cluster(hosts: Mapping[tuple[str, str, int], Counts]) -> dict[str, Counts]:
    total: dict[str, Counts] = {}
    for (cluster, _, _), counts in hosts.items():
        have = total.get(cluster, Counts())
        total[cluster] = Counts(*(a + b for a, b in zip(have, counts, strict=True)))
    return total


def wanted(pattern: str) -> Callable[[str], bool]:
    """Whether a name holds a match of the filter. Raises ``ValueError``."""
    search = compile_pattern(pattern).search
    return lambda name: search(name.encode()) is not None


def as_text(found: Mapping[str, int]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in found.items())


def as_json(found: Mapping[str, int]) -> str:
    listed: Iterable[dict[str, Any]] = ({"name": name, "value": v} for name, v in found.items())
    return json.dumps({"stats": list(listed)}) + "\n"
