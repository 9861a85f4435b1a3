"""Rules that send to services or subsets nobody has declared: their callers are answered 503."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.assembly.rules import RuleBook
from meshproxy.translate.assembly.services import MeshService, Registry
from meshproxy.translate.kinds.common import Destination
from meshproxy.translate.kinds.virtual_service import VirtualService
from meshproxy.translate.problems import Path, did_you_mean, nearest

UNKNOWN_REFERENCE = "IST0101"  # as `istioctl analyze` has it
_ANSWER = "requests are answered 503"


_MOST_GUESSES = 20  # looking for what was meant takes milliseconds among a thousand services


def check_references(
    rules: Iterable[Entry[VirtualService]], registry: Registry, book: RuleBook, remarks: Remarks
) -> None:
    checker = _Checker(registry, book, remarks)
    for entry in rules:
        if entry.value.for_mesh:
            for destination, path in _destinations(entry.value):
                checker.check(entry, destination, path)


def _destinations(rule: VirtualService) -> Iterator[tuple[Destination, Path]]:
    for at, route in enumerate(rule.http):
        for index, arm in enumerate(route.arms):
            yield arm.destination, ("spec", "http", at, "route", index, "destination")
    for name, routes in (("tcp", rule.tcp), ("tls", rule.tls)):
        for at, l4 in enumerate(routes):
            for index, l4_arm in enumerate(l4.arms):
                yield l4_arm.destination, ("spec", name, at, "route", index, "destination")


class _Checker:
    def __init__(self, registry: Registry, book: RuleBook, remarks: Remarks) -> None:
        self._registry = registry
        self._book = book
        self._remarks = remarks
        self._guesses = 0

    def check(self, entry: Entry[VirtualService], destination: Destination, path: Path) -> None:
        host = self._registry.resolve(destination.host, entry.value.meta.namespace)
        service = self._registry.get(host)
        if service is None:
            text = f"there is no service {host}: {_ANSWER}"
            self._warn(entry, (*path, "host"), text, self._guess(host))
        elif not service.alias_of:
            self._check_port(entry, destination, service, path)
            self._check_subset(entry, destination, service, path)

    def _check_port(
        self,
        entry: Entry[VirtualService],
        destination: Destination,
        service: MeshService,
        path: Path,
    ) -> None:
        if destination.port and service.port(destination.port) is None:
            known = ", ".join(str(port.number) for port in service.ports) or "none"
            text = f"{service.host} has no port {destination.port}: {_ANSWER}"
            self._warn(entry, (*path, "port"), text, f"its ports: {known}")

    def _check_subset(
        self,
        entry: Entry[VirtualService],
        destination: Destination,
        service: MeshService,
        path: Path,
    ) -> None:
        name = destination.subset
        subsets = self._book.of(service).subsets if name else {}
        if name and name not in subsets:
            text = f"no DestinationRule gives {service.host} a subset {name}: {_ANSWER}"
            mend = did_you_mean(name, subsets) or "add it to a DestinationRule"
            self._warn(entry, (*path, "subset"), text, mend)

    def _warn(self, entry: Entry[VirtualService], path: Path, text: str, mend: str) -> None:
        self._remarks.warn(entry, path, text, mend, UNKNOWN_REFERENCE)

    def _guess(self, host: str) -> str:
        self._guesses += 1
        near = ""
        if self._guesses <= _MOST_GUESSES:
            near = nearest(host, [each.host for each in self._registry])
        return f"did you mean {near}?" if near else "add the service"
