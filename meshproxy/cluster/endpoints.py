"""What is known of an endpoint beyond one plan: the registry that each next plan adopts.

State belongs to (cluster with its subset, address), never to the address alone: one address may be
in two clusters with different limits and different roles. Where connections are made from the
client's own address, to that address as well; to how it is secured, so that a connection is never
used by a plan that asks for another way; and to what the PROXY protocol has said of it, which holds
for all that is sent on a connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from meshproxy.base.addr import ServerAddr
from meshproxy.cluster.pool import Pool
from meshproxy.model.cluster import Endpoint
from meshproxy.model.tls import UpstreamTls
from meshproxy.model.workload import UNKNOWN, Workload
from meshproxy.record import UNKNOWN_PEER, Peer
from meshproxy.wire.proxy_protocol import Ends


class Told(NamedTuple):
    """What connections begin by saying (the PROXY protocol), and in which version."""

    version: int
    ends: Ends


_Key = tuple[str, ServerAddr, str, UpstreamTls | None, Told | None]


class EndpointState:
    """One endpoint of one cluster, as long as a plan or a connection refers to it."""

    __slots__ = (
        "active",
        "address",
        "cluster",
        "connect_failures",
        "connects",
        "ended",
        "failed",
        "idle_timeout",
        "key",
        "named",
        "peer",
        "pool",
        "source",
        "timed_out",
        "tls",
        "told",
        "used_by",
        "weight",
        "whole",
    )

    def __init__(self, cluster: str, address: ServerAddr, max_idle: int) -> None:
        self.cluster = cluster
        self.address = address  # where new connections go; may move if it is known by a name
        self.key: _Key = (cluster, address, "", None, None)
        self.source = ""  # the client's address, where connections are made from it
        self.tls: UpstreamTls | None = None  # how it is spoken to; None: in plain text
        self.told: Told | None = None  # what each connection begins by saying; None: nothing
        # That of which this is the part for one client: it counts what is in flight of all of them.
        self.whole: EndpointState | None = None
        self.weight = 1
        self.peer = UNKNOWN_PEER
        self.active = 0  # requests and TCP connections in flight, of this worker
        # What `/clusters` tells, counted since the worker started: requests (and TCP connections)
        # that have ended, those of them that were answered 5xx or not at all, or too late.
        self.ended = 0
        self.failed = 0
        self.timed_out = 0
        self.connects = 0
        self.connect_failures = 0
        self.pool = Pool(max_idle)
        self.idle_timeout = 3600.0
        self.used_by = 0  # plans that name it
        self.named = False  # by a plan, once; others are passed through to

    @property
    def gone(self) -> bool:
        """Whether plans have named it, and none does any more."""
        return self.named and self.used_by <= 0

    def release(self, code: int, flags: str = "") -> None:
        """A request has ended with this status; 0: without an answer. ``flags``: why it failed."""
        self.active -= 1
        if self.whole is not None:
            self.whole.active -= 1
        self.ended += 1
        if code >= 500 or not code:
            self.failed += 1
            self.timed_out += flags == "UT"

    def counts(self) -> tuple[int, ...]:
        """In the order of `show.hosts.Counts`."""
        active = self.active if self.whole is None else 0  # there it is counted already
        return (
            self.pool.open,
            self.connect_failures,
            self.connects,
            active,
            self.failed,
            self.ended - self.failed,
            self.timed_out,
            self.ended + active,
        )

    def __repr__(self) -> str:
        return f"EndpointState({self.cluster}, {self.address}, active={self.active})"


class Registry:
    """All endpoint states of a worker, by cluster and address."""

    def __init__(self, max_idle: int) -> None:
        self.max_idle = max_idle
        self._states: dict[_Key, EndpointState] = {}
        self._peers: dict[Workload, Peer] = {UNKNOWN: UNKNOWN_PEER}

    def adopt(
        self,
        cluster: str,
        endpoints: Iterable[Endpoint],
        idle_timeout: float = 3600.0,
        tls: UpstreamTls | None = None,
    ) -> tuple[EndpointState, ...]:
        """States for a plan's cluster: those that exist are kept, with the new facts."""
        states = []
        for endpoint in endpoints:
            # An endpoint that keeps its name is the same one wherever it moves.
            name = endpoint.name or endpoint.address.ip
            own = tls if tls is not None and (endpoint.mtls or not tls.auto) else None
            state = self.state(cluster, ServerAddr(name, endpoint.address.port), "", own)
            state.address = endpoint.address
            state.weight = max(1, endpoint.weight)
            state.peer = self.peer(endpoint.workload)
            state.idle_timeout = idle_timeout
            state.used_by += 1
            state.named = True
            states.append(state)
        return tuple(states)

    def state(
        self,
        cluster: str,
        address: ServerAddr,
        source: str = "",
        tls: UpstreamTls | None = None,
        told: Told | None = None,
    ) -> EndpointState:
        """The state of one address, made when first seen (original-destination clusters)."""
        key = (cluster, address, source, tls, told)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = EndpointState(cluster, address, self.max_idle)
            state.source = source
            state.tls = tls
            state.told = told
            state.key = key
        return state

    def part(self, whole: EndpointState, told: Told) -> EndpointState:
        """The same endpoint for connections that begin by saying this; one request more is on its
        way to the whole, until the part is released."""
        state = self.state(whole.cluster, whole.address, whole.source, whole.tls, told)
        state.whole = whole
        state.peer = whole.peer
        whole.active += 1
        return state

    def peer(self, workload: Workload) -> Peer:
        """The one `Peer` that stands for this workload. It stays, as do the metrics of it."""
        peer = self._peers.get(workload)
        if peer is None:
            peer = self._peers[workload] = Peer(workload)
        return peer

    def release(self, states: Iterable[EndpointState]) -> None:
        """A plan lets go of its endpoints."""
        for state in states:
            state.used_by -= 1

    def counts(self) -> dict[tuple[str, str, int], tuple[int, ...]]:
        """What was counted, by cluster, IP and port; endpoints without any are left out."""
        found: dict[tuple[str, str, int], tuple[int, ...]] = {}
        for state in self._states.values():
            counts = state.counts()
            if any(counts):
                key = (state.cluster, state.address.ip, state.address.port)
                have = found.get(key)
                found[key] = (
                    counts if have is None else tuple(map(sum, zip(have, counts, strict=True)))
                )
        return found

    def sweep(self) -> list[EndpointState]:
        """Forget endpoints that no plan names and no request uses; returns them, to be closed."""
        gone = [
            s for s in self._states.values() if s.used_by <= 0 and not s.active and not s.pool.open
        ]
        for state in gone:
            del self._states[state.key]
        return gone

    def __iter__(self) -> Iterator[EndpointState]:
        return iter(list(self._states.values()))

    def __len__(self) -> int:
        return len(self._states)
