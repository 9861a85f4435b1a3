"""Which DestinationRule a service follows, and what it says for a port and a subset.

Istio (`PushContext.destinationRule`): the caller's namespace is asked first, then the service's,
then the root namespace; within one, the most exact host. Callers in the root namespace have only
the rules of their own there that are nobody else's: the others are meant for everybody.

Rules of one namespace for one host are put together (`mergeDestinationRule`) where they are meant
for the same callers: the oldest one's policy counts, and all their subsets. So a rule with a
workloadSelector stands alone for those that it selects, in its own namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from meshproxy.model.cluster import Balance
from meshproxy.model.origin import BUILT_IN, Origin
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.scope import Self
from meshproxy.translate.assembly.services import MeshService, Registry
from meshproxy.translate.kinds.client_tls import ClientTls
from meshproxy.translate.kinds.destination_rule import DestinationRule, Subset
from meshproxy.translate.kinds.meta import selects
from meshproxy.translate.kinds.traffic_policy import NO_POLICY, Pool, TrafficPolicy
from meshproxy.translate.names import covers, is_wildcard

NO_POOL = Pool()


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for one cluster, once services, ports and subsets have had their say.

    ``tls`` None: no rule says anything of it. ``proxy_protocol``: its version, 0 for none.
    """

    balance: Balance = Balance.LEAST_REQUEST
    pool: Pool = NO_POOL
    tls: ClientTls | None = None
    proxy_protocol: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class RuleSet:
    """The rules of one namespace for one host, put together."""

    rules: tuple[DestinationRule, ...] = ()
    origin: Origin = BUILT_IN

    @property
    def subsets(self) -> Mapping[str, Subset]:
        found: dict[str, Subset] = {}
        for rule in self.rules:
            for subset in rule.subsets:
                found.setdefault(subset.name, subset)
        return found

    def policy(self, port: int, subset: Subset | None = None) -> Policy:
        top = next((rule.policy for rule in self.rules if rule.policy is not NO_POLICY), NO_POLICY)
        chosen = _for_port(top, port)
        if subset is not None and port in subset.policy.ports:
            # Nothing else is inherited (Istio `mergeTrafficPolicy`).
            chosen = replace(subset.policy.ports[port], proxy_protocol=chosen.proxy_protocol)
        elif subset is not None:
            own = subset.policy
            chosen = TrafficPolicy(
                chosen.balance if own.balance is None else own.balance,
                chosen.pool if own.pool is None else own.pool,
                chosen.tls if own.tls is None else own.tls,
                own.proxy_protocol or chosen.proxy_protocol,
            )
        return Policy(
            chosen.balance or Balance.LEAST_REQUEST,
            chosen.pool or NO_POOL,
            chosen.tls,
            chosen.proxy_protocol,
        )


NO_RULES = RuleSet()


def _for_port(policy: TrafficPolicy, port: int) -> TrafficPolicy:
    """A port's own settings stand instead of the service's, not beside them (Istio API)."""
    return policy.ports.get(port) or replace(policy, ports={})


class RuleBook:
    """Finds the rules that a caller follows for a service.

    ``export_to`` is the mesh's, for rules without one of their own; of it only ``.`` is heeded.
    """

    def __init__(
        self,
        entries: list[Entry[DestinationRule]],
        registry: Registry,
        self_: Self,
        root: str,
        export_to: tuple[str, ...] = (),
    ) -> None:
        self._self = self_
        self._root = root
        self._own = _Rules()  # of the caller's namespace, for callers in it
        self._exported: dict[str, _Rules] = {}
        self._private = _Rules()  # of the root namespace, for nobody else
        # The oldest first, and before them those that select their callers.
        for entry in sorted(entries, key=lambda entry: entry.value.selector is None):
            namespace, exported = entry.value.meta.namespace, _exports(entry.value)
            host = registry.resolve(entry.value.host, namespace)
            if namespace == self_.namespace and (not exported or exported & {"*", ".", namespace}):
                self._own.add(host, entry)
            private = "." in export_to if not exported else exported <= {".", namespace}
            if not private:
                self._exported.setdefault(namespace, _Rules()).add(host, entry)
            elif namespace == root:
                self._private.add(host, entry)

    def of(self, service: MeshService) -> RuleSet:
        for rules in self._asked(service):
            found = rules.find(service.host)
            if found and (chosen := _chosen(found, self._self)) is not None:
                return chosen
        return NO_RULES

    def _asked(self, service: MeshService) -> Iterator[_Rules]:
        yield self._private if self._self.namespace == self._root else self._own
        for namespace in dict.fromkeys((service.namespace, self._root)):
            if namespace in self._exported:
                yield self._exported[namespace]


def _exports(rule: DestinationRule) -> frozenset[str]:
    """Where a rule is seen; empty: as the mesh says. What selects its callers stays at home."""
    return frozenset(rule.export_to if rule.selector is None else ["."])


class _Merged(NamedTuple):
    """Rules that are put together, for the callers of the first."""

    selector: Mapping[str, str] | None
    exports: frozenset[str]
    entries: list[Entry[DestinationRule]]

    def reaches(self, namespace: str) -> bool:
        owner = self.entries[0].value.meta.namespace
        return (
            not self.exports
            or not self.exports.isdisjoint(("*", namespace))
            or ("." in self.exports and owner == namespace)
        )


def _chosen(entries: list[Entry[DestinationRule]], self_: Self) -> RuleSet | None:
    """The rules for a caller, of those of one namespace for one host; None: they are for others."""
    sets: list[_Merged] = []
    for entry in entries:
        rule = entry.value
        own = _Merged(rule.selector, _exports(rule), [entry])
        alone = True
        for other in sets:
            if other.selector != own.selector:
                continue
            if other.exports == own.exports:
                alone = False
                other.entries.append(entry)
            elif other.exports and other.exports < own.exports:
                other.entries.append(entry)  # and it stands alone for the further callers
        if alone:
            sets.append(own)
    reaching = [each for each in sets if each.reaches(self_.namespace)]
    if not reaching:
        return None
    selecting = (
        each
        for each in reaching
        if each.selector is not None and selects(each.selector, self_.labels)
    )
    general = [each for each in reaching if each.selector is None]
    best = next(selecting, general[-1] if general else None)
    if best is None:
        return NO_RULES
    return RuleSet(tuple(each.value for each in best.entries), best.entries[0].origin)


class _Rules:
    """Rules of one namespace by the host that they are for, the oldest first."""

    def __init__(self) -> None:
        self._exact: dict[str, list[Entry[DestinationRule]]] = {}
        self._wild: dict[str, list[Entry[DestinationRule]]] = {}

    def add(self, host: str, entry: Entry[DestinationRule]) -> None:
        rules = self._wild if is_wildcard(host) else self._exact
        rules.setdefault(host, []).append(entry)

    def find(self, host: str) -> list[Entry[DestinationRule]]:
        """Those for the most exact host."""
        exact = self._exact.get(host)
        if exact:
            return exact
        covering = [pattern for pattern in self._wild if covers(pattern, host)]
        return self._wild[max(covering, key=len)] if covering else []
