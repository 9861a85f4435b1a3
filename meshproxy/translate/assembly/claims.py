"""Which rule speaks for which service, and under which names a service is called."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from meshproxy.translate.assembly.scope import Rule
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.names import covers, is_wildcard


class RuleIndex:
    """The rules of one listener by the hosts they name; rules come from the oldest on."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._exact: dict[str, list[int]] = {}
        self._wild: list[tuple[str, int]] = []
        for at, rule in enumerate(rules):
            for host in rule.hosts:
                if is_wildcard(host):
                    self._wild.append((host, at))
                else:
                    self._exact.setdefault(host, []).append(at)
        # The longest wildcard is the most telling one; sorting keeps the oldest first among equals.
        self._wild.sort(key=lambda found: -len(found[0]))
        self._best: dict[str, int | None] = {}

    def naming(self, hosts: Collection[str]) -> list[Rule]:
        """The rules that name at least one of these hosts, in order."""
        found = {at for host in hosts for at in self._exact.get(host, ())}
        found |= {at for host in hosts if (at := self._wildcard(host)) is not None}
        return [self.rules[at] for at in sorted(found)]

    def split(self, rule: Rule, services: Mapping[str, MeshService]) -> tuple[list[str], list[str]]:
        """The services that a rule speaks for, and its hosts that are none."""
        own: list[str] = []
        others: list[str] = []
        for host in rule.hosts:
            if not is_wildcard(host):
                (own if host in services else others).append(host)
                continue
            covered = [name for name in services if covers(host, name)]
            if not covered:
                others.append(host)
            own += [name for name in covered if self._speaks_for(rule, name)]
        return own, others

    def _speaks_for(self, rule: Rule, host: str) -> bool:
        """Whether a rule with a wildcard has the last word: nobody names the host better."""
        if host in self._exact:
            return False
        best = self._wildcard(host)
        return best is not None and self.rules[best] is rule

    def _wildcard(self, host: str) -> int | None:
        if not self._wild:
            return None
        if host not in self._best:
            self._best[host] = next((at for wild, at in self._wild if covers(wild, host)), None)
        return self._best[host]


class DomainNames:
    """Hands out the domains of virtual hosts: no domain twice within one port.

    A service is called by its full name, by what DNS search domains make of shorter ones in the
    caller's namespace, and by its addresses (Istio `generateVirtualHostDomains`).
    """

    def __init__(self, namespace: str, domain: str, known: Collection[str]) -> None:
        self._suffix = f".svc.{domain}"
        self._namespace = namespace
        self._known = known
        self._taken: set[str] = set()

    def of_host(self, host: str) -> tuple[str, ...]:
        return self._claim([host.lower()])

    def of(self, service: MeshService) -> tuple[str, ...]:
        names = []
        for host in (service.host, *service.aliases):
            names.append(host)
            names += [short for short in self._short(host) if short not in self._known]
        # With a dot at its end a name is in full for DNS, and callers may pass it on like that.
        names += [f"{host}." for host in (service.host, *service.aliases)]
        if service.headless:
            names += [f"*.{name}" for name in names]  # a StatefulSet's pods: NAME-0.NAME
        # A subnet is no name: only what was asked for by Host can be told there.
        return self._claim([*names, *(ip for ip in service.addresses if "/" not in ip)])

    def _short(self, host: str) -> tuple[str, ...]:
        if not host.endswith(self._suffix):
            return ()
        qualified = host[: -len(self._suffix)]
        name, _, namespace = qualified.partition(".")
        if namespace == self._namespace and name != "*":  # which would be everybody's name
            return name, f"{qualified}.svc", qualified
        return qualified, f"{qualified}.svc"

    def _claim(self, names: list[str]) -> tuple[str, ...]:
        free = [name for name in dict.fromkeys(names) if name not in self._taken]
        self._taken.update(free)
        return tuple(free)
