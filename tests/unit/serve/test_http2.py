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
    assert path.plain(COUNTER, "out", "http2.codec_error") == 1
