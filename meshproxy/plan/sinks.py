"""What is called once for every finished request and connection: metric cells and log lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshproxy.model.workload import Workload
from meshproxy.plan.plan import ClusterPlan
from meshproxy.record import Record, Secured
from meshproxy.telemetry.access_log import LineWriter
from meshproxy.telemetry.labels import labels
from meshproxy.telemetry.metrics import Counters, HttpCell, TcpCell


class LogSink:
    """One log: how its lines are made, and where they go."""

    def __init__(self, line: LineWriter, write: Callable[[str], None]) -> None:
        self._line = line
        self._write = write

    def write(self, record: Record) -> None:
        self._write(self._line.line(record))


_NAMED_BY_ROUTE = {"block_all": "BlackHoleCluster", "allow_any": "PassthroughCluster"}
_OWN_NAMES = frozenset({"BlackHoleCluster", "PassthroughCluster", "InboundPassthroughCluster"})


class Sink:
    """Counts and logs for the chains of one direction, with the cells they have found so far."""

    def __init__(
        self, counters: Counters, own: Workload, outbound: bool, logs: tuple[LogSink, ...]
    ) -> None:
        self._counters = counters
        self._own = own
        self._outbound = outbound
        self._logs = logs
        self._http: dict[Any, HttpCell] = {}
        self._tcp: dict[Any, TcpCell] = {}

    def finish_http(self, record: Record) -> None:
        """A request has ended."""
        cluster: ClusterPlan | None = record.cluster
        secured = record.upstream_secured if self._outbound else record.secured
        key = (
            record.peer,
            None if secured is None else secured.identity or secured.digest != "",
            cluster,
            record.code,
            record.flags,
            record.grpc_status,
            # Where no service is known, metrics fall back to the Host header.
            None if cluster is not None and cluster.serves else self._host(record),
        )
        cell = self._http.get(key)
        if cell is None:
            cell = self._find_http(key, record, secured)
        cell.count(record.duration_ms, record.wire_in, record.wire_out)
        for log in self._logs:
            log.write(record)

    def _host(self, record: Record) -> tuple[bytes, Any]:
        host = record.request.authority if self._outbound and record.request is not None else b""
        return host, record.route.name if record.route is not None else None

    def _find_http(self, key: Any, record: Record, secured: Secured | None) -> HttpCell:
        # Hosts of unknown services come from callers: past the bound the cells are not remembered.
        grpc = record.grpc_status
        cell = self._counters.http(
            labels(
                outbound=self._outbound,
                own=self._own,
                peer=record.peer.workload,
                service=self._service(record),
                protocol="grpc" if grpc >= 0 else "http",
                result=(str(record.code), str(grpc) if grpc >= 0 else ""),
                flags=record.flags,
                secured=secured,
            )
        )
        if len(self._http) < 10_000:
            self._http[key] = cell
        return cell

    def open_tcp(self, record: Record) -> TcpCell:
        """A TCP connection has begun (or failed to); its cell counts the rest."""
        secured = record.upstream_secured if self._outbound else record.secured
        identity = None if secured is None else secured.identity or secured.digest != ""
        key = (record.peer, identity, record.cluster, record.flags)
        cell = self._tcp.get(key)
        if cell is None:
            cell = self._tcp[key] = self._counters.tcp(
                labels(
                    outbound=self._outbound,
                    own=self._own,
                    peer=record.peer.workload,
                    service=self._service(record),
                    protocol="tcp",
                    result=None,
                    flags=record.flags,
                    secured=secured,
                )
            )
        return cell

    def finish_tcp(self, record: Record) -> None:
        for log in self._logs:
            log.write(record)

    def _service(self, record: Record) -> tuple[str, str, str]:
        """Host, short name and namespace of the service that was asked for."""
        cluster: ClusterPlan | None = record.cluster
        if cluster is not None and cluster.serves:
            service = cluster.model.service
            return service.host, service.name, service.namespace
        host = self._host(record)[0].decode("latin-1").lower() or "unknown"
        if not self._outbound and host == "unknown":
            host = self._own.canonical_name
        name = _NAMED_BY_ROUTE.get(record.route.name if record.route is not None else "")
        if name is None and cluster is not None and cluster.name in _OWN_NAMES:
            name = cluster.name
        return host, name or host, "unknown"
