"""Which DestinationRule a service follows, and what it says for a port and a subset.

Istio (`PushContext.destinationRule`): the caller's namespace is asked first, then the service's,
then the root namespace; within one, the most exact host. Callers in the root namespace have only
the rules of their own there that are nobody else's: the others are meant for everybody.

Rules of one namespace for one host are put together (`mergeDestinationRule`): the oldest one's
policy counts, and all their subsets. A rule with a workloadSelector stands alone for those that it
selects, but later rules still add to it, and it to those that were there before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from meshproxy.model.cluster import Balance
from meshproxy.model.origin import BUILT_IN, Origin
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.scope import Self, is_visible
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
    """Finds the rules that a caller follows for a service."""

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
        self._known: dict[str, _Rules] = {}
        self._private = _Rules()
        for entry in entries:
            meta, rule = entry.value.meta, entry.value
            if not is_visible(rule.export_to, export_to, meta.namespace, self_.namespace):
                continue
            host = registry.resolve(rule.host, meta.namespace)
            self._known.setdefault(meta.namespace, _Rules()).add(host, entry)
            if set(rule.export_to or export_to) in ({"."}, {meta.namespace}):
                self._private.add(host, entry)

    def of(self, service: MeshService) -> RuleSet:
        for rules in self._asked(service):
            found = rules.find(service.host)
            if found:
                return _chosen(found, self._self)
        return NO_RULES

    def _asked(self, service: MeshService) -> Iterator[_Rules]:
        own = self._self.namespace
        if own == self._root:
            yield self._private
        for namespace in dict.fromkeys((own, service.namespace, self._root)):
            if namespace in self._known and not (namespace == own == self._root):
                yield self._known[namespace]
        if own == self._root and own in self._known:
            yield self._known[own]


def _chosen(entries: list[Entry[DestinationRule]], self_: Self) -> RuleSet:
    """The rules for a caller, of those of one namespace for one host, put together."""
    sets: list[list[Entry[DestinationRule]]] = []
    for entry in entries:
        alone = True
        for others in sets:
            first, own = others[0].value.selector, entry.value.selector
            if first is not None and own is not None and first != own:
                continue
            alone = alone and first != own
            others.append(entry)
        if alone:
            sets.append([entry])
    mine = [rules for rules in sets if _is_for(rules[0].value, self_)]
    best = mine or [rules for rules in sets if rules[0].value.selector is None][-1:]
    if not best:
        return NO_RULES
    return RuleSet(tuple(entry.value for entry in best[0]), best[0][0].origin)


def _is_for(rule: DestinationRule, self_: Self) -> bool:
    """Whether it selects the caller, which it can do in its own namespace alone."""
    return (
        rule.selector is not None
        and rule.meta.namespace == self_.namespace
        and selects(rule.selector, self_.labels)
    )


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
