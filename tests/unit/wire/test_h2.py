"""Heads from header blocks: what HTTP/1 could not carry on without becoming something else."""

from __future__ import annotations

import pytest

from meshproxy.wire.errors import WireError
from meshproxy.wire.h2_heads import (
    check_trailers,
    request_head,
    response_head,
)
from meshproxy.wire.heads import CHUNKED, Headers

GOOD: Headers = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":authority", b"shop:80"),
    (b":path", b"/a?b"),
    (b"x-a", b"1"),
]


def changed(name: bytes, value: bytes | None) -> Headers:
    """The good request with one line changed, added, or (None) left out."""
    lines = [(n, value if n == name and value is not None else v) for n, v in GOOD]
    if value is None:
        return [pair for pair in GOOD if pair[0] != name]
    return lines if (name in dict(GOOD)) else [*lines, (name, value)]


def test_a_request() -> None:
    head = request_head([*GOOD, (b"host", b"Shop:80"), (b"x-a", b"2")], True, 10)
    assert (head.method, head.path, head.authority) == (b"GET", b"/a?b", b"shop:80")
    assert head.headers == [(b"x-a", b"1"), (b"x-a", b"2")]
    assert b"host" not in head.fields
    assert head.fields[b"x-a"] == b"1,2"
    assert (head.length, head.version) == (0, 20)


def test_host_stands_in_for_a_missing_authority() -> None:
    head = request_head([*changed(b":authority", None), (b"host", b"shop")], True, 10)
    assert head.authority == b"shop"


@pytest.mark.parametrize(
    ("length", "end", "found"), [(None, False, CHUNKED), (b"5", False, 5), (b"0", False, CHUNKED)]
)
def test_lengths(length: bytes | None, end: bool, found: int) -> None:
    lines = GOOD if length is None else changed(b"content-length", length)
    assert request_head(lines, end, 10).length == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b":method", b""),
        (b":method", b"GET /x HTTP/1.1\r\n"),
        (b":method", b"G T"),
        (b":method", b"CONNECT"),
        (b":method", None),
        (b":path", b""),
        (b":path", b"a"),
        (b":path", b"/a b"),
        (b":path", b"/a\r\nX: y"),
        (b":path", b"/\x7f"),
        (b":path", b"/\xe9"),
        (b":path", b"*"),
        (b":path", None),
        (b":scheme", b"ftp"),
        (b":scheme", None),
        (b":authority", b"a/b"),
        (b":authority", b"a b"),
        (b":authority", b"u@a"),
        (b"x-a", b"1\r\nX: y"),
        (b"x-a", b"\x00"),
        (b"X-B", b"1"),
        (b"x b", b"1"),
        (b"", b"1"),
        (b"x:b", b"1"),
        (b":path", b"/\t"),
        (b"x-a", b" 1"),
        (b"x-a", b"1\t"),
        (b"host", b"other"),
        (b"connection", b"close"),
        (b"keep-alive", b"timeout=5"),
        (b"proxy-connection", b"keep-alive"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"websocket"),
        (b"te", b"gzip"),
        (b"te", b"trailers, deflate"),
        (b"content-length", b"+5"),
        (b"content-length", b"5,5"),
    ],
)
def test_refused(name: bytes, value: bytes | None) -> None:
    with pytest.raises(WireError):
        request_head(changed(name, value), False, 10)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([*GOOD, (b":path", b"/b")], id="a pseudo-header late"),
        pytest.param([GOOD[0], *GOOD], id="a pseudo-header twice"),
        pytest.param([(b":protocol", b"websocket"), *GOOD], id="an unknown pseudo-header"),
        pytest.param([(b":status", b"200"), *GOOD], id="an answer's pseudo-header"),
        pytest.param([*GOOD, *[(b"x", b"y")] * 10], id="too many"),
        pytest.param(changed(b"content-length", b"5"), id="a length and no body"),
    ],
)
def test_refused_blocks(lines: Headers) -> None:
    with pytest.raises(WireError):
        request_head(lines, True, 10)


def test_a_cookie_that_was_cut_up_is_one_again() -> None:
    """RFC 9113 8.2.3."""
    cut = [(b"cookie", b"a=1"), (b"x-b", b"2"), (b"cookie", b"b=2"), (b"cookie", b"c")]
    head = request_head([*GOOD, *cut], True, 10)
    assert head.headers == [(b"x-a", b"1"), (b"x-b", b"2"), (b"cookie", b"a=1; b=2; c")]
    assert head.fields[b"cookie"] == b"a=1; b=2; c"


CONNECT: Headers = [(b":method", b"CONNECT"), (b":authority", b"shop:443")]
EXTENDED: Headers = [(b":method", b"CONNECT"), (b":protocol", b"WebSocket"), *GOOD[1:]]


def test_an_extended_connect_is_an_upgrade() -> None:
    """RFC 8441 section 5: what policies and routes see is a GET, as of HTTP/1.1."""
    head = request_head([*EXTENDED, (b"sec-websocket-version", b"13")], False, 10)
    assert (head.method, head.path, head.authority) == (b"GET", b"/a?b", b"shop:80")
    assert (head.upgrade, head.length) == (b"websocket", 0)
    assert (head.fields[b"upgrade"], head.fields[b"connection"]) == (b"websocket", b"upgrade")
    assert head.headers == [(b"x-a", b"1"), (b"sec-websocket-version", b"13")]


def test_a_plain_connect() -> None:
    head = request_head([*CONNECT, (b"x-a", b"1")], False, 10)
    assert (head.method, head.path, head.authority) == (b"CONNECT", b"shop:443", b"shop:443")
    assert (head.upgrade, head.length) == (b"CONNECT", 0)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([CONNECT[0]], id="no authority"),
        pytest.param([CONNECT[0], (b":authority", b"")], id="an empty authority"),
        pytest.param([CONNECT[0], (b":authority", b"a b")], id="an authority that is none"),
        pytest.param([CONNECT[0], (b"host", b"shop")], id="Host instead of authority"),
        pytest.param([*CONNECT, (b":path", b"/")], id="a path"),
        pytest.param([*CONNECT, (b":scheme", b"http")], id="a scheme"),
        pytest.param([*CONNECT, (b"content-length", b"0")], id="a length"),
        pytest.param([*CONNECT, (b":status", b"200")], id="a status"),
        pytest.param([*CONNECT, (b":protocol", b"websocket")], id="a protocol and no path"),
        *(
            pytest.param([pair for pair in EXTENDED if pair[0] != name], id=f"no {name!r}")
            for name in (b":scheme", b":authority", b":path")
        ),
        *(
            pytest.param([EXTENDED[0], (b":protocol", name), *EXTENDED[2:]], id=f"to {name[:9]!r}")
            for name in (b"", b"a b", b"a,b", b"a/b/c", b"/", b"a\r\nb: c", b"a" * 65, b"H2C")
        ),
        pytest.param([*EXTENDED, (b"content-length", b"0")], id="an upgrade with a length"),
        pytest.param([*EXTENDED[:4], (b":path", b"*")], id="an upgrade of the server"),
    ],
)
def test_refused_tunnels(lines: Headers) -> None:
    with pytest.raises(WireError):
        request_head(lines, False, 10)


@pytest.mark.parametrize("status", [b"", b"20", b"2000", b"abc", b"099", b"600", b"+20", b"101"])
def test_refused_answers(status: bytes) -> None:
    with pytest.raises(WireError):
        response_head([(b":status", status)], True, b"GET", 10)


def test_a_requests_pseudo_header_in_an_answer() -> None:
    with pytest.raises(WireError):
        response_head([(b":status", b"200"), (b":path", b"/")], True, b"GET", 10)


def test_an_answer() -> None:
    head = response_head([(b":status", b"204"), (b"x", b"y")], True, b"GET", 10)
    assert (head.status, head.length, head.headers) == (204, 0, [(b"x", b"y")])
    head = response_head([(b":status", b"200"), (b"content-length", b"7")], False, b"HEAD", 10)
    assert head.length == 0


@pytest.mark.parametrize("trailers", [[(b":x", b"1")], [(b"x", b"\n")], [(b"X", b"1")]])
def test_refused_trailers(trailers: Headers) -> None:
    with pytest.raises(WireError):
        check_trailers(trailers, 10)
