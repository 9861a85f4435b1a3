"""Does a request match? (Istio VirtualService `HTTPMatchRequest`; Envoy `RouteMatch`.)"""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.base.regex import full_match
from meshproxy.model.route import HeaderMatch, MatchKind, RouteMatch, StringMatch
from meshproxy.wire.heads import RequestHead
from meshproxy.wire.values import PSEUDO, header_values, path_only, scheme_of

Predicate = Callable[[RequestHead], bool]
Test = Callable[[bytes], bool]


def compile_test(match: StringMatch) -> Test:
    """A `StringMatch` as a function of the text."""
    if match.kind is MatchKind.PRESENT:
        return lambda text: True
    if match.kind is MatchKind.REGEX:
        return full_match(f"(?i){match.value}" if match.ignore_case else match.value)
    wanted = match.value.encode()
    if match.ignore_case:
        wanted = wanted.lower()
        if match.kind is MatchKind.EXACT:
            return lambda text: text.lower() == wanted
        return lambda text: text.lower().startswith(wanted)
    if match.kind is MatchKind.EXACT:
        return lambda text: text == wanted
    return lambda text: text.startswith(wanted)


def reference_test(match: StringMatch, text: bytes) -> bool:
    """What `compile_test` must answer, said plainly."""
    wanted = match.value.encode()
    if match.ignore_case:
        wanted, text = wanted.lower(), text.lower()
    match match.kind:
        case MatchKind.PRESENT:
            return True
        case MatchKind.EXACT:
            return text == wanted
        case MatchKind.PREFIX:
            return text.startswith(wanted)
        case MatchKind.REGEX:
            return full_match(wanted.decode())(text)


def query_fields(target: bytes) -> dict[bytes, bytes]:
    """Query parameters as they were sent; of a repeated one the first.

    Envoy compares them without decoding (`QueryParamsMulti::parseQueryString`).
    """
    _, _, query = target.partition(b"?")
    found: dict[bytes, bytes] = {}
    for field in query.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            found.setdefault(name, value)
    return found


def compile_match(match: RouteMatch) -> Predicate | None:
    """The whole match as one predicate; None where everything matches."""
    checks = _compile_checks(match)
    if not checks:
        return None
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda head: first(head) and second(head)
    return lambda head: all(check(head) for check in checks)


def _compile_checks(match: RouteMatch) -> list[Predicate]:
    """One predicate for each thing asked, the cheapest and most telling first."""
    checks: list[Predicate] = []
    if match.path is not None and not _is_any_path(match.path):
        checks.append(_on_path(match.path))
    if match.method is not None:
        method = compile_test(match.method)
        checks.append(lambda head: method(head.method))
    if match.authority is not None:
        authority = compile_test(match.authority)
        checks.append(lambda head: authority(head.authority))
    if match.scheme is not None:
        scheme = compile_test(match.scheme)
        checks.append(lambda head: scheme(scheme_of(head)))
    checks += [_on_header(header) for header in match.headers]
    checks += [_on_query(parameter) for parameter in match.query]
    return checks


def _is_any_path(path: StringMatch) -> bool:
    return path.kind is MatchKind.PREFIX and path.value in ("", "/")


def _on_path(match: StringMatch) -> Predicate:
    test = compile_test(match)
    if match.kind is MatchKind.PREFIX and "?" not in match.value:
        # A prefix needs no cut: what follows does not matter.
        return lambda head: test(head.path)
    return lambda head: test(path_only(head.path))


def _on_header(wanted: HeaderMatch) -> Predicate:
    name = wanted.name
    test = compile_test(wanted.match)
    if wanted.invert:
        if wanted.match.kind is MatchKind.PRESENT:
            return lambda head: not header_values(head, name)
        return lambda head: not any(test(value) for value in header_values(head, name) or (b"",))
    if name in PSEUDO:
        get = PSEUDO[name]
        return lambda head: test(get(head))
    key = name.encode()

    def check(head: RequestHead) -> bool:
        value = head.fields.get(key)
        if value is None or b"," not in value:
            return value is not None and test(value)
        return any(test(value) for value in header_values(head, name))

    return check


def _on_query(wanted: HeaderMatch) -> Predicate:
    name = wanted.name.encode()
    test = compile_test(wanted.match)

    def check(head: RequestHead) -> bool:
        value = query_fields(head.path).get(name)
        return value is not None and test(value)

    return check


def reference_match(match: RouteMatch, head: RequestHead) -> bool:
    """What a compiled match must answer, said plainly."""

    def asks(field: StringMatch | None, text: bytes) -> bool:
        return field is None or reference_test(field, text)

    def holds(wanted: HeaderMatch, values: list[bytes]) -> bool:
        if not values and wanted.invert and wanted.match.kind is not MatchKind.PRESENT:
            values = [b""]
        return any(reference_test(wanted.match, value) for value in values) != wanted.invert

    def query_values(name: str) -> list[bytes]:
        value = query_fields(head.path).get(name.encode())
        return [] if value is None else [value]

    return (
        asks(match.path, path_only(head.path))
        and asks(match.method, head.method)
        and asks(match.authority, head.authority)
        and asks(match.scheme, scheme_of(head))
        and all(holds(wanted, header_values(head, wanted.name)) for wanted in match.headers)
        and all(holds(wanted, query_values(wanted.name)) for wanted in match.query)
    )
