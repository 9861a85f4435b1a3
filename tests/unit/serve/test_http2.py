"""Streams of a downstream HTTP/2 connection, as transcripts."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import UpstreamHttp
from tests.support import frames
from tests.support.fakes import FakeTransport
from tests.support.frames import END_HEADERS, POST, PREFACE, cut, data, headers, rst
from tests.support.models import a_cluster, outbound
from tests.support.path import DataPath

LINES = [*POST[:3], (b":authority", b"shop")]
PIECE = bytes(16_384)
PIECES = 15  # a stream's window, nearly
COUNTER = "meshproxy_downstream_protocol_errors_total"


@pytest.fixture(params=["fast", "h11"])
def path(request: pytest.FixtureRequest) -> DataPath:
    """With HTTP/1 codecs come HTTP/2's: our own, and the reference."""
    return DataPath(outbound(), request.param)


def connect(path: DataPath) -> FakeTransport:
    client = path.connect()
    client.receive(PREFACE + frames.settings() + frames.frame(frames.SETTINGS, 1))
    return client


def opened(sent: bytes, on: int = 0) -> int:
    """How far the connection's window, or a stream's, was opened."""
    return sum(
        int.from_bytes(payload, "big")
        for kind, _, stream, payload in cut(sent)
        if kind == frames.WINDOW and stream == on
    )


def test_uploads_that_are_given_up_do_not_hold_the_connections_window(path: DataPath) -> None:
    """Their data waits for a connection to the app, and is forgotten with its stream."""
    client = connect(path)
    first = opened(client.take())
    for stream in range(1, 41, 2):
        client.receive(headers(stream, LINES, END_HEADERS) + data(stream, PIECE) * PIECES)
        client.receive(rst(stream))
    sent = 20 * PIECES * len(PIECE)
    assert not client.closed
    # But for what is still owed, half the window at most, all of it is open again.
    assert opened(client.take()) >= sent - (first + 65_535) // 2


def test_a_few_streams_that_wait_leave_the_others_room(path: DataPath) -> None:
    client = connect(path)
    for stream in range(1, 21, 2):
        client.receive(headers(stream, LINES, END_HEADERS) + data(stream, PIECE) * PIECES)
    assert not client.closed
    assert frames.resets(client.take()) == []


def test_a_client_that_was_slow_before_there_was_an_app_stops_it(path: DataPath) -> None:
    """The answers to its other streams may have filled the transport meanwhile."""
    client = connect(path)
    client.receive(headers(1, LINES))
    client.fill()
    server = path.dialled()
    assert not server.reading
    client.empty()
    assert server.reading


@pytest.mark.parametrize("codec", ["fast", "h11"])
def test_an_upload_that_waited_stops_at_an_app_that_takes_no_more(codec: str) -> None:
    """What had come before there was a connection fills the app's window at once."""
    cluster = a_cluster(http=UpstreamHttp.HTTP2)
    path = DataPath(outbound(clusters=[cluster]), codec)
    client = connect(path)
    client.receive(headers(1, LINES, END_HEADERS) + data(1, PIECE) * PIECES)
    client.take()
    server = path.dialled()
    server.receive(frames.settings())
    sent, room = 0, opened(client.take(), on=1)
    while room >= len(PIECE) and sent < 100 * PIECES:
        client.receive(data(1, PIECE))
        room += opened(client.take(), on=1) - len(PIECE)
        sent += 1
    assert sent <= 2 * PIECES, "the window that was open, and once more"


def test_a_malformed_request_resets_its_stream_alone() -> None:
    """RFC 9113 8.1.1; where the library finds it, it ends the connection."""
    client = connect(DataPath(outbound(), "fast"))
    client.take()
    client.receive(headers(1, [*LINES, (b"x-a", b"1"), (b":path", b"/b")]))
    sent = client.take()
    assert frames.resets(sent) == [(1, 1)]
    assert frames.code_of_goaway(sent) is None
    assert not client.closed


def test_data_that_breaks_a_stream_ends_its_exchange() -> None:
    path = DataPath(outbound(), "fast")
    client = connect(path)
    client.receive(headers(1, [*LINES, (b"content-length", b"2")], END_HEADERS))
    client.take()
    client.receive(data(1, b"abc"))
    assert frames.resets(client.take()) == [(1, 1)]
    assert path.plain(COUNTER, "out", "http2.content_length") == 1


def trailing(lines: list[tuple[bytes, bytes]]) -> bytes:
    return headers(1, LINES, END_HEADERS) + headers(1, lines)


def sized(length: bytes) -> bytes:
    return headers(1, [*LINES, (b"content-length", length)], END_HEADERS)


# What is sent, the code that its stream or (below zero) the connection is told, and its name.
BROKEN = {
    "capital in a name": (headers(1, [*LINES, (b"X-A", b"1")]), 1, "header_name"),
    "blank in a name": (headers(1, [*LINES, (b"x a", b"1")]), 1, "header_name"),
    "no name": (headers(1, [*LINES, (b"", b"1")]), 1, "header_name"),
    "neither name nor value": (headers(1, [*LINES, (b"", b"")]), 1, "header_name"),
    "CR in a value": (headers(1, [*LINES, (b"x-a", b"1\rx")]), 1, "header_value"),
    "LF in a value": (headers(1, [*LINES, (b"x-a", b"1\nx-b: 2")]), 1, "header_value"),
    "NUL in a value": (headers(1, [*LINES, (b"x-a", b"1\x002")]), 1, "header_value"),
    "blank before a value": (headers(1, [*LINES, (b"x-a", b" 1")]), 1, "header_value"),
    "NUL in a trailer": (trailing([(b"x-a", b"\x00")]), 1, "header_value"),
    "capital in a trailer": (trailing([(b"X-A", b"1")]), 1, "header_name"),
    "transfer-encoding": (
        headers(1, [*LINES, (b"transfer-encoding", b"chunked")], END_HEADERS),
        1,
        "connection_header",
    ),
    "connection": (headers(1, [*LINES, (b"connection", b"te")]), 1, "connection_header"),
    "te": (headers(1, [*LINES, (b"te", b"trailers, deflate")]), 1, "connection_header"),
    "two lengths": (sized(b"1, 2"), 1, "content_length"),
    "a length that is none": (sized(b"-1"), 1, "content_length"),
    "a length and no body": (
        headers(1, [*LINES, (b"content-length", b"5")]),
        1,
        "content_length",
    ),
    "more than its length": (sized(b"2") + data(1, b"abc"), 1, "content_length"),
    "less than its length": (sized(b"4") + data(1, b"abc", 1), 1, "content_length"),
    "a path with a line break": (
        headers(1, [(n, b"/\r\nx" if n == b":path" else v) for n, v in LINES]),
        1,
        "header_value",
    ),
    "a path twice": (headers(1, [*LINES, (b":path", b"/b")]), 1, "pseudo_header"),
    "another Host": (headers(1, [*LINES, (b"host", b"other")]), 1, "pseudo_header"),
    "a stream's window over its bound": (
        headers(1, LINES) + frames.window(1, 2**31 - 1),
        3,
        "flow_control",
    ),
    "a stream's window by nothing": (
        headers(1, LINES) + frames.window(1, 0),
        1,
        "flow_control",
    ),
    "the connection's window over its bound": (frames.window(0, 2**31 - 1), -3, "flow_control"),
    "the connection's window by nothing": (frames.window(0, 0), -1, "flow_control"),
    "a first window over its bound": (frames.settings((4, 2**31)), -3, "flow_control"),
    "data beyond the connection's window": (
        b"".join(
            headers(at, LINES, END_HEADERS) + data(at, PIECE) * (PIECES + 1)
            for at in range(1, 35, 2)
        ),
        -3,
        "flow_control",
    ),
    "padding longer than DATA": (
        headers(1, LINES, END_HEADERS) + data(1, b"\x05abcd", frames.PADDED),
        -1,
        "padding",
    ),
    "no room for padding": (
        headers(1, LINES, END_HEADERS) + data(1, b"", frames.PADDED),
        -6,
        "padding",
    ),
    "padding longer than HEADERS": (
        frames.frame(frames.HEADERS, END_HEADERS | frames.PADDED, 1, b"\xff\x82"),
        -1,
        "padding",
    ),
    "a frame too long": (frames.frame(frames.DATA, 0, 1, bytes(16_385)), -6, "frame_size"),
    "broken compression": (frames.frame(frames.HEADERS, 5, 1, b"\x80"), -9, "compression"),
    "a table over its bound": (
        frames.frame(frames.HEADERS, 5, 1, b"\x3f\xe2\x1f"),
        -9,
        "compression",
    ),
    "a frame out of place": (data(0, b"a"), -1, "codec_error"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_has_its_code_and_its_name(case: str) -> None:
    """Codes are those of RFC 9113 section 7. The library knows but one name."""
    sent, code, name = BROKEN[case]
    path = DataPath(outbound(), "fast")
    client = connect(path)
    client.take()
    client.receive(sent)
    told = client.take()
    if code < 0:
        assert frames.code_of_goaway(told) == -code
        assert client.eof_written
    else:
        assert frames.resets(told)[-1] == (1, code)
        assert frames.code_of_goaway(told) is None
        client.receive(headers(3, LINES))
        assert path.dials(), "the connection goes on"
    assert path.plain(COUNTER, "out", f"http2.{name}") == 1
    assert len(path.counters.plain) == 1


@pytest.mark.parametrize("codec", ["fast", "h11"])
def test_values_may_be_empty(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = connect(path)
    client.receive(headers(1, [*LINES, (b"x-a", b"")]))
    assert b"\r\nx-a: \r\n" in path.dialled().take()


def test_many_empty_values_are_too_many_headers() -> None:
    """CVE-2019-9516: nothing costs, too."""
    path = DataPath(outbound(), "fast")
    client = connect(path)
    client.take()
    client.receive(headers(1, [*LINES, *[(b"x", b"")] * 101]))
    client.receive(headers(3, [*LINES, *[(b"x", b"")] * 3000]))
    assert path.plain(COUNTER, "out", "http2.too_many_headers") == 1
    assert path.plain(COUNTER, "out", "http2.headers_too_large") == 1
    assert frames.code_of_goaway(client.take()) is None
