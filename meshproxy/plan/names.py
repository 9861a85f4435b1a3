"""Clusters whose endpoints have names: their states follow what this worker is told of DNS.

Who looks names up is not here: answers come from outside (`NameBook.take`), at any time, and the
next request goes by them. Only such clusters know of this; for all others nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from meshproxy.cluster.balance import Draw, compile_balancer
from meshproxy.cluster.endpoints import Registry
from meshproxy.cluster.names import Answer, Answers, expand, fault_of, is_pending
from meshproxy.model.cluster import Cluster, ClusterKind, Endpoint
from meshproxy.plan.plan import ClusterPlan


class ClusterNames:
    """The names of one cluster. ``waiting`` are called once when something is known of them."""

    def __init__(self, cluster: ClusterPlan, book: NameBook) -> None:
        self.cluster = cluster
        self.names = cluster.model.names
        self.endpoints: tuple[Endpoint, ...] = ()
        self.waiting: dict[Callable[[], None], None] = {}
        self.closed = False
        self._book = book

    @property
    def pending(self) -> bool:
        return is_pending(self.names, self._book.answers)

    @property
    def fault(self) -> str:
        return fault_of(self.names, self._book.answers)

    def wake(self) -> None:
        """Let all who wait look again."""
        waiting, self.waiting = self.waiting, {}
        for told in waiting:
            told()


class NameBook:
    """What a worker knows of names, and the clusters that use them."""

    def __init__(self, registry: Registry, draw: Draw) -> None:
        self._registry = registry
        self._draw = draw
        self._known: dict[str, Answer] = {}
        self._users: dict[str, dict[ClusterNames, None]] = {}

    @property
    def answers(self) -> Answers:
        return self._known

    def open(self, model: Cluster) -> ClusterPlan:
        """A plan of a cluster with names, by what is known of them now."""
        plan = ClusterPlan(model, (), lambda: None)
        plan.names = names = ClusterNames(plan, self)
        for name in names.names:
            self._users.setdefault(name, {})[names] = None
        self._renew(names)
        return plan

    def close(self, plan: ClusterPlan) -> None:
        """The next request does not use the plan; those that wait for it still will."""
        names = plan.names
        if names is None:
            self._registry.release(plan.states)
        else:
            names.closed = True
            self._forget_unused(names)

    def _forget_unused(self, names: ClusterNames) -> None:
        if not names.closed or names.waiting:
            return
        for name in names.names:
            users = self._users.get(name, {})
            users.pop(names, None)
            if not users:
                self._users.pop(name, None)
        self._registry.release(names.cluster.states)
        names.cluster.states = ()

    def take(self, told: Mapping[str, Answer | None]) -> None:
        """Answers that are new; None for names that nobody asks for any more."""
        for name, answer in told.items():
            if answer is None:
                self._known.pop(name, None)
            else:
                self._known[name] = answer
        touched = dict.fromkeys(each for name in told for each in self._users.get(name, ()))
        for names in touched:
            self._renew(names)
            if names.endpoints or not names.pending:
                names.wake()
            self._forget_unused(names)

    def _renew(self, names: ClusterNames) -> None:
        """Take up what is known; the states of addresses that stay are kept."""
        cluster, model = names.cluster, names.cluster.model
        endpoints = expand(model.endpoints, self._known, model.kind is ClusterKind.LOGICAL_DNS)
        if endpoints == names.endpoints:
            return
        names.endpoints = endpoints
        before = cluster.states
        cluster.states = self._registry.adopt(model.name, endpoints, model.idle_timeout, model.tls)
        cluster.pick = compile_balancer(model.balance, cluster.states, self._draw)
        self._registry.release(before)
