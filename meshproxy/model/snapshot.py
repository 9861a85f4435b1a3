"""One whole configuration: what `translate` makes, what workers are sent by parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from meshproxy.model.client_cert import DEFAULT, ClientCert
from meshproxy.model.cluster import Cluster
from meshproxy.model.listener import Listener
from meshproxy.model.paths import PathNormalization
from meshproxy.model.policy import Policy
from meshproxy.model.route import RouteConfig, VirtualHost
from meshproxy.model.settings import DEFAULTS, Settings
from meshproxy.model.telemetry import AccessLog
from meshproxy.model.tls import ANY, TlsParameters
from meshproxy.model.workload import UNKNOWN, Workload


class PartKey(NamedTuple):
    """Names a part: the snapshot's field it stands in, and its name there."""

    field: str
    name: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a sidecar was configured to do.

    ``hosts`` are keyed ``ROUTE_CONFIG/HOST``. ``peers`` knows the workloads of the mesh by IP, so
    that a caller without a certificate can still be named in metrics. ``outbound_allow_any``: what
    no route knows is sent to the cluster ``outbound_rest`` (else refused). ``trust_domain`` is
    SPIFFE's, and callers of ``trust_domain_aliases`` are taken for its own. ``authorization`` has
    the policies that reach this workload, in the order in which they are asked. ``mesh_tls`` holds
    for the mutual TLS of callers. ``client_cert``: what the app is told of them.
    """

    workload: Workload = UNKNOWN
    listeners: Mapping[str, Listener] = field(default_factory=dict)
    route_configs: Mapping[str, RouteConfig] = field(default_factory=dict)
    hosts: Mapping[str, VirtualHost] = field(default_factory=dict)
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    peers: Mapping[str, Workload] = field(default_factory=dict)
    access_logs: tuple[AccessLog, ...] = ()
    settings: Settings = DEFAULTS
    outbound_allow_any: bool = True
    trust_domain: str = "cluster.local"
    outbound_rest: str = "PassthroughCluster"
    trust_domain_aliases: tuple[str, ...] = ()
    authorization: tuple[Policy, ...] = ()
    path_normalization: PathNormalization = PathNormalization.BASE
    mesh_tls: TlsParameters = ANY
    client_cert: ClientCert = DEFAULT


TABLES = ("listeners", "route_configs", "hosts", "clusters", "peers")
SINGLES = (
    "workload",
    "access_logs",
    "settings",
    "outbound_allow_any",
    "trust_domain",
    "outbound_rest",
    "trust_domain_aliases",
    "authorization",
    "path_normalization",
    "mesh_tls",
    "client_cert",
)


class Change(NamedTuple):
    """What turns one set of parts into the next."""

    changed: dict[PartKey, Any]
    removed: tuple[PartKey, ...]


def diff(old: Snapshot | None, new: Snapshot) -> Change:
    """Parts of ``new`` that differ from ``old`` (None: there was none), and keys that are gone."""
    changed: dict[PartKey, Any] = {}
    removed: list[PartKey] = []
    for table in TABLES:
        before: Mapping[str, Any] = {} if old is None else getattr(old, table)
        after: Mapping[str, Any] = getattr(new, table)
        # Nearly all are the objects they were, and there may be thousands.
        for name in [name for name, part in after.items() if before.get(name) is not part]:
            if name not in before or before[name] != after[name]:
                changed[PartKey(table, name)] = after[name]
        removed += [PartKey(table, name) for name in before if name not in after]
    for single in SINGLES:
        value = getattr(new, single)
        if old is None or getattr(old, single) != value:
            changed[PartKey(single, "")] = value
    return Change(changed, tuple(removed))


class Parts:
    """What is known of a snapshot, told part by part."""

    def __init__(self, parts: Mapping[PartKey, Any] | None = None) -> None:
        self._tables: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
        self._singles: dict[str, Any] = {}
        for key, part in (parts or {}).items():
            self.put(key, part)

    def put(self, key: PartKey, part: Any) -> None:
        if key.field in self._tables:
            self._tables[key.field][key.name] = part
        else:
            self._singles[key.field] = part

    def drop(self, key: PartKey) -> None:
        if key.field in self._tables:
            self._tables[key.field].pop(key.name, None)
        else:
            self._singles.pop(key.field, None)

    def snapshot(self) -> Snapshot:
        """All of them put together."""
        tables: dict[str, Any] = {name: dict(table) for name, table in self._tables.items()}
        return Snapshot(**tables, **self._singles)
