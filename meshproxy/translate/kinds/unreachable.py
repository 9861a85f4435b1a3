"""Routes that no request can reach, because an earlier one takes them all.

Istio warns about the same ones (`analyzeUnreachableHTTPRules`): what comes after a route without
matches, a match that was there before, and a prefix under an earlier one that asks nothing more.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from meshproxy.model.route import HeaderMatch, MatchKind, StringMatch
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.http_match import HttpMatch


def warn_unreachable(fields: Fields, name: str, routes: Sequence[Sequence[Any]]) -> None:
    """``routes`` are the matches of each route."""
    seen: dict[Hashable, int] = {}
    prefixes: list[tuple[int, HttpMatch]] = []
    catch_all = -1
    for at, matches in enumerate(routes):
        path = (*fields.at(name), at)
        if catch_all >= 0:
            fields.report.warn(path, f"is never reached: route {catch_all} matches everything")
            continue
        if not matches:
            catch_all = at
        for index, match in enumerate(matches):
            earlier = seen.setdefault(_key(match), at)
            where = (*path, "match", index)
            if earlier != at or seen[_key(match)] != at or _repeated(matches, index):
                fields.report.warn(where, f"is never reached: route {earlier} has the same match")
            elif isinstance(match, HttpMatch) and _prefix(match):
                _warn_covered(fields, where, match, prefixes)
                prefixes.append((at, match))


def _repeated(matches: Sequence[Any], index: int) -> bool:
    return any(_key(match) == _key(matches[index]) for match in matches[:index])


def _key(match: Any) -> Hashable:
    """What a match asks, without its name."""
    labels = tuple(sorted(match.source_labels.items()))
    if isinstance(match, HttpMatch):
        return (match.match, match.port, match.gateways, labels, match.source_namespace)
    source = (labels, match.source_namespace)
    return (match.port, match.subnets, match.gateways, source, match.sni_hosts)


def _prefix(match: HttpMatch) -> str:
    path = match.match.path
    return path.value if path is not None and path.kind is MatchKind.PREFIX else ""


def _warn_covered(
    fields: Fields,
    where: tuple[str | int, ...],
    match: HttpMatch,
    prefixes: list[tuple[int, HttpMatch]],
) -> None:
    for at, earlier in prefixes:
        if _prefix(match) != _prefix(earlier) and _covered(earlier, match):
            fields.report.warn(
                where,
                f"is never reached: route {at} takes all under {_prefix(earlier)}",
                "put it before that route",
            )
            return


def _covered(earlier: HttpMatch, later: HttpMatch) -> bool:
    return (
        _prefix(later).startswith(_prefix(earlier))
        and earlier.port == later.port
        and _no_wider(earlier.match.method, later.match.method, "GET")
        and _no_wider(earlier.match.authority, later.match.authority)
        and _same_names(earlier.match.headers, later.match.headers)
        and _same_names(earlier.match.query, later.match.query)
    )


def _no_wider(earlier: StringMatch | None, later: StringMatch | None, default: str = "") -> bool:
    """Istio counts a match without a method as one for GET."""
    first, second = _spelled(earlier, default), _spelled(later, default)
    return first.startswith(second)


def _spelled(match: StringMatch | None, default: str) -> str:
    if match is None or match.kind in (MatchKind.REGEX, MatchKind.PRESENT):
        return f"exact:{default}" if default else ""
    return f"{match.kind.value}:{match.value}"


def _same_names(earlier: tuple[HeaderMatch, ...], later: tuple[HeaderMatch, ...]) -> bool:
    if len(earlier) != len(later):
        return False
    wanted = {(header.name, header.invert): header.match for header in later}
    return all(
        (header.name, header.invert) in wanted
        and _no_wider(header.match, wanted[(header.name, header.invert)])
        for header in earlier
    )
