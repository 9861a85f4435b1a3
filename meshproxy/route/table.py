"""From ordered rules to the one that decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from meshproxy.base.lookup import PathTable
from meshproxy.model.route import MatchKind, Route
from meshproxy.route.match import Predicate, compile_match, reference_match
from meshproxy.wire.heads import RequestHead

T = TypeVar("T")
Chooser = Callable[[RequestHead], T | None]

_FEW = 6  # with fewer rules, asking each is cheaper than finding a bucket (benchmarks/micro)


def segment_of(route: Route) -> bytes | None:
    """The whole first segment of the path that a rule demands, if it demands one."""
    path = route.match.path
    if path is None or path.ignore_case or path.kind is MatchKind.REGEX:
        return None
    segment, slash, _ = path.value[1:].partition("/")
    if path.kind is MatchKind.PREFIX and not slash:
        return None  # ``/api`` is a plain string prefix: it takes ``/apix`` as well
    return None if "?" in segment else segment.encode()


def compile_routes(routes: Sequence[Route], targets: Sequence[T]) -> Chooser[T]:
    """A function from a request to the target of the first route that matches it."""
    rules = [
        (route, compile_match(route.match), target)
        for route, target in zip(routes, targets, strict=True)
    ]
    if rules and rules[0][1] is None:
        only = rules[0][2]
        return lambda head: only
    if len(rules) <= _FEW:
        return _first_of([(predicate, target) for _, predicate, target in rules])
    return _by_segment(rules)


def _first_of(rules: list[tuple[Predicate | None, T]]) -> Chooser[T]:
    def choose(head: RequestHead) -> T | None:
        for predicate, target in rules:
            if predicate is None or predicate(head):
                return target
        return None

    return choose


def _by_segment(rules: list[tuple[Route, Predicate | None, T]]) -> Chooser[T]:
    table = PathTable(rules, lambda rule: segment_of(rule[0]))

    def choose(head: RequestHead) -> T | None:
        for _, predicate, target in table.candidates(head.path):
            if predicate is None or predicate(head):
                return target
        return None

    return choose


def reference_routes(routes: Sequence[Route], head: RequestHead) -> int | None:
    """The index of the first route that matches, said plainly."""
    for index, route in enumerate(routes):
        if reference_match(route.match, head):
            return index
    return None
