"""Rules that send to services or subsets nobody has declared: their callers are answered 503."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.assembly.rules import RuleBook
from meshproxy.translate.assembly.services import MeshService, Registry
from meshproxy.translate.kinds.common import Destination
from meshproxy.translate.kinds.virtual_service import VirtualService
from meshproxy.translate.problems import Path, did_you_mean, nearest

UNKNOWN_REFERENCE = "IST0101"  # as `istioctl analyze` has it
_ANSWER = "requests are answered 503"
_ADD = "add the service"
_MOST_GUESSES = 20  # looking for what was meant takes milliseconds among a thousand services


class _Fault(NamedTuple):
    """``unknown`` is a host that there is not: what was meant may be guessed."""

    path: Path
    text: str
    mend: str = ""
    unknown: str = ""


def check_references(
    rules: Iterable[Entry[VirtualService]],
    registry: Registry,
    book: RuleBook,
    remarks: Remarks,
    memo: Memo,
) -> None:
    guesses = 0
    for entry in rules:
        rule = entry.value
        faults = memo.get(
            ("references", rule.meta.namespace, rule.meta.name),
            (rule, registry, book),
            partial(_faults, rule, registry, book),
        )
        for path, text, mend, unknown in faults:
            if unknown:
                guesses += 1
                mend = _guess(unknown, registry) if guesses <= _MOST_GUESSES else _ADD
            remarks.warn(entry, path, text, mend, UNKNOWN_REFERENCE)


def _faults(rule: VirtualService, registry: Registry, book: RuleBook) -> tuple[_Fault, ...]:
    if not rule.for_mesh:
        return ()
    namespace = rule.meta.namespace
    return tuple(
        fault
        for destination, path in _destinations(rule)
        for fault in _judge(destination, path, namespace, registry, book)
    )


def _destinations(rule: VirtualService) -> Iterator[tuple[Destination, Path]]:
    for at, route in enumerate(rule.http):
        for index, arm in enumerate(route.arms):
            yield arm.destination, ("spec", "http", at, "route", index, "destination")
    for name, routes in (("tcp", rule.tcp), ("tls", rule.tls)):
        for at, l4 in enumerate(routes):
            for index, l4_arm in enumerate(l4.arms):
                yield l4_arm.destination, ("spec", name, at, "route", index, "destination")


def _judge(
    destination: Destination, path: Path, namespace: str, registry: Registry, book: RuleBook
) -> Iterator[_Fault]:
    host = registry.resolve(destination.host, namespace)
    service = registry.get(host)
    if service is None:
        text = f"there is no service {host}: {_ANSWER}"
        yield _Fault((*path, "host"), text, unknown=host)
    elif not service.alias_of:
        yield from _judge_port(destination, path, service)
        yield from _judge_subset(destination, path, service, book)


def _judge_port(destination: Destination, path: Path, service: MeshService) -> Iterator[_Fault]:
    if destination.port and service.port(destination.port) is None:
        known = ", ".join(str(port.number) for port in service.ports) or "none"
        text = f"{service.host} has no port {destination.port}: {_ANSWER}"
        yield _Fault((*path, "port"), text, f"its ports: {known}")


def _judge_subset(
    destination: Destination, path: Path, service: MeshService, book: RuleBook
) -> Iterator[_Fault]:
    name = destination.subset
    subsets = book.of(service).subsets if name else {}
    if name and name not in subsets:
        text = f"no DestinationRule gives {service.host} a subset {name}: {_ANSWER}"
        mend = did_you_mean(name, subsets) or "add it to a DestinationRule"
        yield _Fault((*path, "subset"), text, mend)


def _guess(host: str, registry: Registry) -> str:
    near = nearest(host, [each.host for each in registry])
    return f"did you mean {near}?" if near else _ADD
