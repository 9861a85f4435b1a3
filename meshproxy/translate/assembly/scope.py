"""What one sidecar sees: services, virtual services and rules that are exported to it.

Istio's `SidecarScope`: an object is seen where its `exportTo` says; a Sidecar resource narrows that
down by namespace and host, for all ports or for single ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from meshproxy.model.origin import Origin
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.services import MeshService, Registry
from meshproxy.translate.kinds.common import Destination
from meshproxy.translate.kinds.meta import selects
from meshproxy.translate.kinds.sidecar import Egress, Sidecar
from meshproxy.translate.kinds.virtual_service import VirtualService
from meshproxy.translate.names import covers, overlaps

ALL = (("*", "*"),)
_CATCH_ALL = Egress(ALL)


class Rule(NamedTuple):
    """A VirtualService with its hosts, and those it sends to, in full."""

    value: VirtualService
    hosts: tuple[str, ...]
    destinations: tuple[str, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Self:
    """The workload this is for: where it stands and what it is labelled."""

    namespace: str
    labels: Mapping[str, str]


class ListenerScope(NamedTuple):
    """What one egress listener sees: services by host, and rules from the oldest on.

    ``reachable`` also has what the rules send to: clusters without hosts of their own.
    """

    egress: Egress
    services: Mapping[str, MeshService]
    reachable: Mapping[str, MeshService]
    rules: tuple[Rule, ...]


class Exports(NamedTuple):
    """The mesh's `exportTo` of services and of rules that have none of their own."""

    services: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


def is_visible(
    export_to: tuple[str, ...], default: tuple[str, ...], owner: str, namespace: str
) -> bool:
    """Whether an object of namespace ``owner`` may be seen in ``namespace``."""
    return distance(export_to, default, owner, namespace) is not None


def distance(
    export_to: tuple[str, ...], default: tuple[str, ...], owner: str, namespace: str
) -> int | None:
    """How far an object that is seen in a namespace is from it; None: it is not seen there.

    What is its own comes before what is exported to it, and that before what is exported to all,
    whatever is older (Istio `SelectVirtualServices`).
    """
    entries = export_to or default or ("*",)
    if "*" in entries:
        return 2
    if owner == namespace and ("." in entries or namespace in entries):
        return 0
    return 1 if namespace in entries else None


def service_distance(service: MeshService, default: tuple[str, ...], namespace: str) -> int | None:
    """As `distance`, but own services and those exported to it are equally far (Istio
    `servicesExportedToNamespace`)."""
    far = distance(service.export_to, default, service.namespace, namespace)
    return None if far is None else max(far, 1)


def choose_sidecar(sidecars: list[Entry[Sidecar]], self_: Self, root: str) -> Entry[Sidecar] | None:
    """The one that selects the workload, else its namespace's, else the root namespace's."""
    for namespace, selecting in ((self_.namespace, True), (self_.namespace, False), (root, False)):
        for entry in sidecars:
            sidecar = entry.value
            if (
                sidecar.meta.namespace == namespace
                and bool(sidecar.selector) == selecting
                and selects(sidecar.selector, self_.labels)
            ):
                return entry
    return None


def build_scopes(
    registry: Registry,
    rules: list[Entry[VirtualService]],
    sidecar: Sidecar | None,
    namespace: str,
    exports: Exports,
    memo: Memo,
) -> list[ListenerScope]:
    """One for each egress listener of a workload there; without a Sidecar, the one that takes all.

    ``exports`` are the mesh's.
    """
    seen = memo.get(
        "services",
        (registry, exports.services, namespace),
        partial(_seen, registry, exports.services, namespace),
    )
    seen_rules = [
        (far, entry)
        for entry in rules
        if entry.value.for_mesh
        and entry.value.hosts
        and (far := _how_far(entry.value, exports.rules, namespace)) is not None
    ]
    resolved = [
        memo.get(
            (entry.value.meta.namespace, entry.value.meta.name),
            (entry.value, entry.origin, registry),
            partial(_resolve, entry, registry),
        )
        for _, entry in sorted(seen_rules, key=itemgetter(0))
    ]
    egresses = sidecar.egress if sidecar is not None and sidecar.egress else (_CATCH_ALL,)
    order = partial(_order, exports.services, namespace)
    return [_listener(egress, seen, registry, resolved, namespace, order) for egress in egresses]


def _how_far(rule: VirtualService, default: tuple[str, ...], namespace: str) -> int | None:
    return distance(rule.export_to, default, rule.meta.namespace, namespace)


def _seen(registry: Registry, export_to: tuple[str, ...], namespace: str) -> dict[str, MeshService]:
    """In the order in which the first to want something has it."""
    found = [
        service
        for service in registry
        if service_distance(service, export_to, namespace) is not None
    ]
    order = partial(_order, export_to, namespace)
    return {service.host: service for service in sorted(found, key=order)}


def _order(
    export_to: tuple[str, ...], namespace: str, service: MeshService
) -> tuple[int, tuple[str, str, str]]:
    return service_distance(service, export_to, namespace) or 0, service.age


def _resolve(entry: Entry[VirtualService], registry: Registry) -> Rule:
    rule = entry.value
    namespace = rule.meta.namespace
    hosts = tuple(registry.resolve(host, namespace) for host in rule.hosts)
    sent = (
        registry.resolve(each.host, each.namespace or namespace) for each in _destinations(rule)
    )
    return Rule(rule, hosts, tuple(dict.fromkeys(sent)), entry.origin)


def _listener(
    egress: Egress,
    seen: Mapping[str, MeshService],
    registry: Registry,
    rules: list[Rule],
    namespace: str,
    order: Callable[[MeshService], Any],
) -> ListenerScope:
    services, taken = dict(seen), list(rules)
    number = egress.port.number if egress.port is not None and not egress.is_proxy else 0
    wanted = _Wanted(egress.hosts, namespace, number)
    if egress.hosts != ALL or number:
        services = {
            host: chosen
            for host, each in seen.items()
            if (chosen := wanted.strongest((each, *registry.rivals.get(host, ())))) is not None
        }
        if any(chosen is not seen[host] for host, chosen in services.items()):
            services = {each.host: each for each in sorted(services.values(), key=order)}
    if egress.hosts != ALL:
        taken = [rule for rule in rules if wanted.rule(rule)]
    # What a rule sends to comes along, imported or not (Istio does the same).
    sent = dict.fromkeys(host for rule in taken for host in rule.destinations)
    reachable = {
        host: service
        for host in sent
        if (service := seen.get(host) or _neighbour(registry.get(host), namespace)) is not None
    }
    reachable.update(services)
    return ListenerScope(egress, services, reachable, tuple(taken))


def _neighbour(service: MeshService | None, namespace: str) -> MeshService | None:
    """A service of the own namespace may be sent to whoever else is to see it (Istio)."""
    return service if service is not None and service.namespace == namespace else None


def _destinations(rule: VirtualService) -> Iterator[Destination]:
    for route in rule.http:
        for arm in route.arms:
            yield arm.destination
    for l4 in (*rule.tcp, *rule.tls):
        for l4_arm in l4.arms:
            yield l4_arm.destination


class _Wanted:
    """An egress listener's ``hosts`` and port (0: any), to be asked what they take."""

    def __init__(self, hosts: tuple[tuple[str, str], ...], namespace: str, port: int) -> None:
        self._port = port
        self._hosts: dict[str, list[str]] = {}
        self._excluded: set[str] = set()
        for given, host in hosts:
            if given.startswith("~"):
                self._excluded.add(given[1:])
                continue
            self._hosts.setdefault(namespace if given == "." else given, []).append(host)

    def _of(self, namespace: str) -> list[str]:
        if namespace in self._excluded:
            return []
        return self._hosts.get(namespace, []) + self._hosts.get("*", [])

    def strongest(self, services: Iterable[MeshService]) -> MeshService | None:
        """The first that is wanted, of those that have one host."""
        for service in services:
            if (not self._port or service.port(self._port) is not None) and any(
                covers(host, service.host) for host in self._of(service.namespace)
            ):
                return service
        return None

    def rule(self, rule: Rule) -> bool:
        wanted = self._of(rule.value.meta.namespace)
        return any(overlaps(host, own) for host in wanted for own in rule.hosts)
