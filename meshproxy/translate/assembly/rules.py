"""Which DestinationRule a service follows, and what it says for a port and a subset.

Istio: the caller's namespace is asked first, then the service's, then the root namespace; within
one, the most exact host. Rules of one namespace for one host are put together: the oldest one's
policy counts, and all their subsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from meshproxy.model.cluster import Balance
from meshproxy.model.origin import BUILT_IN, Origin
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.scope import Self, is_visible
from meshproxy.translate.assembly.services import MeshService, Registry
from meshproxy.translate.kinds.destination_rule import DestinationRule, Subset
from meshproxy.translate.kinds.meta import selects
from meshproxy.translate.kinds.traffic_policy import NO_POLICY, Pool, TrafficPolicy
from meshproxy.translate.names import covers, is_wildcard

NO_POOL = Pool()


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for one cluster, once services, ports and subsets have had their say."""

    balance: Balance = Balance.LEAST_REQUEST
    pool: Pool = NO_POOL
    tls: str = "DISABLE"


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
        if subset is not None:
            own = _for_port(subset.policy, port)
            chosen = TrafficPolicy(
                chosen.balance if own.balance is None else own.balance,
                chosen.pool if own.pool is None else own.pool,
                chosen.tls if own.tls is None else own.tls,
            )
        return Policy(
            chosen.balance or Balance.LEAST_REQUEST,
            chosen.pool or NO_POOL,
            chosen.tls or "DISABLE",
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
        self._namespace = self_.namespace
        self._root = root
        self._exact: dict[tuple[str, str], list[Entry[DestinationRule]]] = {}
        self._wild: dict[str, dict[str, list[Entry[DestinationRule]]]] = {}
        for entry in entries:
            rule = entry.value
            if not is_visible(rule.export_to, export_to, rule.meta.namespace, self_.namespace):
                continue
            if rule.selector is not None and not selects(rule.selector, self_.labels):
                continue
            host = registry.resolve(rule.host, rule.meta.namespace)
            namespace = rule.meta.namespace
            if is_wildcard(host):
                self._wild.setdefault(namespace, {}).setdefault(host, []).append(entry)
            else:
                self._exact.setdefault((namespace, host), []).append(entry)

    def of(self, service: MeshService) -> RuleSet:
        for namespace in dict.fromkeys((self._namespace, service.namespace, self._root)):
            found = self._find(namespace, service.host)
            if found:
                # A rule that selects its callers is meant more than one for everybody.
                found = sorted(found, key=lambda entry: entry.value.selector is None)
                if found[0].value.selector is not None:
                    found = found[:1]
                return RuleSet(tuple(entry.value for entry in found), found[0].origin)
        return NO_RULES

    def _find(self, namespace: str, host: str) -> list[Entry[DestinationRule]]:
        exact = self._exact.get((namespace, host))
        if exact:
            return exact
        wild = self._wild.get(namespace, {})
        covering = [pattern for pattern in wild if covers(pattern, host)]
        return wild[max(covering, key=len)] if covering else []
