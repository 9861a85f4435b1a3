"""What is known of an endpoint beyond one plan: the registry that each next plan adopts.

State belongs to (cluster with its subset, address), never to the address alone: one address may be
in two clusters with different limits and different roles. Where connections are made from the
client's own address, to that address as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshproxy.base.addr import ServerAddr
from meshproxy.cluster.pool import Pool
from meshproxy.model.cluster import Endpoint
from meshproxy.model.workload import UNKNOWN, Workload
from meshproxy.record import UNKNOWN_PEER, Peer


class EndpointState:
    """One endpoint of one cluster, as long as a plan or a connection refers to it."""

    __slots__ = (
        "active",
        "address",
        "cluster",
        "idle_timeout",
        "named",
        "peer",
        "pool",
        "source",
        "used_by",
        "weight",
    )

    def __init__(self, cluster: str, address: ServerAddr, max_idle: int) -> None:
        self.cluster = cluster
        self.address = address
        self.source = ""  # the client's address, where connections are made from it
        self.weight = 1
        self.peer = UNKNOWN_PEER
        self.active = 0  # requests and TCP connections in flight, of this worker
        self.pool = Pool(max_idle)
        self.idle_timeout = 3600.0
        self.used_by = 0  # plans that name it
        self.named = False  # by a plan, once; others are passed through to

    @property
    def gone(self) -> bool:
        """Whether plans have named it, and none does any more."""
        return self.named and self.used_by <= 0

    def __repr__(self) -> str:
        return f"EndpointState({self.cluster}, {self.address}, active={self.active})"


class Registry:
    """All endpoint states of a worker, by cluster and address."""

    def __init__(self, max_idle: int) -> None:
        self.max_idle = max_idle
        self._states: dict[tuple[str, ServerAddr, str], EndpointState] = {}
        self._peers: dict[Workload, Peer] = {UNKNOWN: UNKNOWN_PEER}

    def adopt(
        self, cluster: str, endpoints: Iterable[Endpoint], idle_timeout: float = 3600.0
    ) -> tuple[EndpointState, ...]:
        """States for a plan's cluster: those that exist are kept, with the new facts."""
        states = []
        for endpoint in endpoints:
            state = self.state(cluster, endpoint.address)
            state.weight = max(1, endpoint.weight)
            state.peer = self.peer(endpoint.workload)
            state.idle_timeout = idle_timeout
            state.used_by += 1
            state.named = True
            states.append(state)
        return tuple(states)

    def state(self, cluster: str, address: ServerAddr, source: str = "") -> EndpointState:
        """The state of one address, made when first seen (original-destination clusters)."""
        key = (cluster, address, source)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = EndpointState(cluster, address, self.max_idle)
            state.source = source
        return state

    def peer(self, workload: Workload) -> Peer:
        """The one `Peer` that stands for this workload."""
        peer = self._peers.get(workload)
        if peer is None:
            peer = self._peers[workload] = Peer(workload)
        return peer

    def forget_peers(self, wanted: set[Workload]) -> None:
        """Keep only the workloads that the newest plan names."""
        self._peers = {w: p for w, p in self._peers.items() if w in wanted or w is UNKNOWN}

    def release(self, states: Iterable[EndpointState]) -> None:
        """A plan lets go of its endpoints."""
        for state in states:
            state.used_by -= 1

    def sweep(self) -> list[EndpointState]:
        """Forget endpoints that no plan names and no request uses; returns them, to be closed."""
        gone = [
            s for s in self._states.values() if s.used_by <= 0 and not s.active and not s.pool.open
        ]
        for state in gone:
            del self._states[state.cluster, state.address, state.source]
        return gone

    def __iter__(self) -> Iterator[EndpointState]:
        return iter(list(self._states.values()))

    def __len__(self) -> int:
        return len(self._states)
