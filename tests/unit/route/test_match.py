"""Does a request match? By table, for both the compiled form and its reference."""

from __future__ import annotations

import pytest

from meshproxy.model.route import HeaderMatch, MatchKind, RouteMatch, StringMatch
from meshproxy.route.match import compile_match, query_fields, reference_match
from meshproxy.wire.heads import HTTP2, HTTP11, RequestHead, index

EXACT, PREFIX, REGEX = MatchKind.EXACT, MatchKind.PREFIX, MatchKind.REGEX
PRESENT = StringMatch(MatchKind.PRESENT)


def a_head(
    path: str = "/",
    *headers: tuple[str, str],
    method: str = "GET",
    authority: str = "shop",
    version: int = HTTP11,
    scheme: str = "http",
) -> RequestHead:
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    head = RequestHead(
        method.encode(), path.encode(), authority.encode(), version, pairs, index(pairs)
    )
    head.scheme = scheme.encode()
    return head


def holds(match: RouteMatch, head: RequestHead) -> bool:
    compiled = compile_match(match)
    found = compiled is None or compiled(head)
    assert found == reference_match(match, head)
    return found


def header(name: str, match: StringMatch, invert: bool = False) -> RouteMatch:
    return RouteMatch(headers=(HeaderMatch(name, match, invert),))


@pytest.mark.parametrize(
    ("match", "value", "expected"),
    [
        (StringMatch(EXACT, "jason"), "jason", True),
        (StringMatch(EXACT, "jason"), "Jason", False),
        (StringMatch(EXACT, "a,b"), "a,b", True),
        (StringMatch(PREFIX, "ja"), "jason", True),
        (StringMatch(REGEX, "ja"), "jason", False),
        (StringMatch(REGEX, "ja.*"), "jason", True),
        (StringMatch(REGEX, ".*"), "", True),
        (PRESENT, "", True),
        (PRESENT, None, False),
        (StringMatch(REGEX, ".*"), None, False),
    ],
)
def test_headers(match: StringMatch, value: str | None, expected: bool) -> None:
    head = a_head("/", *([] if value is None else [("X-User", value)]))
    assert holds(header("x-user", match), head) is expected


@pytest.mark.parametrize(
    ("match", "value", "expected"),
    [
        (StringMatch(EXACT, "jason"), "jason", False),
        (StringMatch(EXACT, "jason"), "joe", True),
        (StringMatch(EXACT, "jason"), None, True),
        # A header that is not there counts as an empty one, which this expression takes.
        (StringMatch(REGEX, ".*"), None, False),
        (StringMatch(REGEX, ".+"), None, True),
        (PRESENT, None, True),
        (PRESENT, "", False),
    ],
)
def test_headers_that_must_not_be(match: StringMatch, value: str | None, expected: bool) -> None:
    head = a_head("/", *([] if value is None else [("X-User", value)]))
    assert holds(header("x-user", match, invert=True), head) is expected


def test_of_repeated_headers_one_has_to_match() -> None:
    head = a_head("/", ("X-A", "1"), ("x-a", "2"))
    assert holds(header("x-a", StringMatch(EXACT, "2")), head)
    assert not holds(header("x-a", StringMatch(EXACT, "1,2")), head)
    assert not holds(header("x-a", StringMatch(EXACT, "2"), invert=True), head)
    assert holds(header("x-a", StringMatch(EXACT, "3"), invert=True), head)
    assert holds(header("x-a", StringMatch(EXACT, "1,2")), a_head("/", ("x-a", "1,2")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (":method", "PUT"),
        (":path", "/a?b=c"),
        (":authority", "shop:80"),
        ("host", "shop:80"),
        (":scheme", "http"),
    ],
)
@pytest.mark.parametrize("version", [HTTP11, HTTP2])
def test_pseudo_headers(name: str, value: str, version: int) -> None:
    head = a_head("/a?b=c", method="PUT", authority="shop:80", version=version)
    assert holds(header(name, StringMatch(EXACT, value)), head)
    assert not holds(header(name, StringMatch(EXACT, "other")), head)


@pytest.mark.parametrize(
    ("version", "scheme", "forwarded", "expected"),
    [
        (HTTP11, "http", None, "http"),
        (HTTP11, "http", "https", "https"),
        (HTTP11, "http", "gopher", "http"),
        (HTTP11, "https", None, "https"),
        (HTTP2, "http", "https", "http"),
    ],
)
def test_the_scheme(version: int, scheme: str, forwarded: str | None, expected: str) -> None:
    headers = [("X-Forwarded-Proto", forwarded)] if forwarded else []
    head = a_head("/", *headers, version=version, scheme=scheme)
    assert holds(RouteMatch(scheme=StringMatch(EXACT, expected)), head)


@pytest.mark.parametrize(
    ("match", "target", "expected"),
    [
        (StringMatch(EXACT, "1"), "/?q=1", True),
        (StringMatch(EXACT, "1"), "/?q=2&q=1", False),
        (StringMatch(EXACT, "a b"), "/?q=a%20b", False),
        (StringMatch(EXACT, "a%20b"), "/?q=a%20b", True),
        (StringMatch(EXACT, "a+b"), "/?q=a+b", True),
        (StringMatch(EXACT, "a=b"), "/?q=a=b", True),
        (PRESENT, "/?q", True),
        (PRESENT, "/?x&q=", True),
        (PRESENT, "/?Q=1", False),
        (PRESENT, "/q=1", False),
        (StringMatch(EXACT, ""), "/?q", True),
    ],
)
def test_query_parameters(match: StringMatch, target: str, expected: bool) -> None:
    assert holds(RouteMatch(query=(HeaderMatch("q", match),)), a_head(target)) is expected


def test_query_fields() -> None:
    assert query_fields(b"/a?b=1&&c&b=2&=x") == {b"b": b"1", b"c": b"", b"": b"x"}
    assert query_fields(b"/a") == {}
