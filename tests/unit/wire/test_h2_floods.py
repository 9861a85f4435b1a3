"""What an HTTP/2 peer may do too often: as often as the bound says, and once more."""

from __future__ import annotations

import contextlib
import sys

import pytest

from meshproxy.wire.errors import WireError
from meshproxy.wire.h2 import Code, HeadersCame, SettingsCame, WindowOpened
from meshproxy.wire.h2_fast import FastCodec
from meshproxy.wire.h2_floods import Bounds
from meshproxy.wire.hpack_tables import integer
from tests.support.frames import (
    ACK,
    CONTINUATION,
    END,
    END_HEADERS,
    GET,
    HEADERS,
    OK,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    SETTINGS,
    block,
    code_of_goaway,
    data,
    frame,
    headers,
    number,
    resets,
    rst,
    settings,
    window,
)

CALM = 11
MOST = 20
BOUNDS = Bounds(MOST, MOST, MOST, MOST, MOST, MOST, MOST, MOST)


def server(bounds: Bounds = BOUNDS, streams: int = 100, max_headers: int = 8192) -> FastCodec:
    codec = FastCodec(False, streams, 100_000, max_headers, bounds)
    codec.start()
    codec.receive(PREFACE + settings() + frame(SETTINGS, ACK))
    codec.relax()
    codec.relax()  # what the greeting counted
    codec.take()
    return codec


def stream(at: int) -> int:
    return 2 * at + 1


# What is sent for the nth time, after what has been sent before, and what it is called.
FLOODS = [
    pytest.param(
        b"", lambda at: headers(stream(at)) + rst(stream(at)), "rapid_reset", id="rapid reset"
    ),
    pytest.param(
        b"",
        lambda at: headers(stream(at), [*GET, (b"content-length", b"5")]),
        "owed_resets",
        id="malformed requests",
    ),
    pytest.param(
        b"",
        lambda at: headers(stream(at)) + data(stream(at)),
        "owed_resets",
        id="data after the end",
    ),
    pytest.param(b"", lambda at: frame(PING, 0, 0, bytes(8)), "control_flood", id="PING"),
    pytest.param(b"", lambda at: frame(PING, ACK, 0, bytes(8)), "control_flood", id="PING answers"),
    pytest.param(b"", lambda at: settings((4, at)), "control_flood", id="SETTINGS"),
    pytest.param(b"", lambda at: frame(SETTINGS, ACK), "control_flood", id="SETTINGS answers"),
    pytest.param(
        headers(1, POST, END_HEADERS), lambda at: data(1), "empty_frame_flood", id="empty DATA"
    ),
    pytest.param(
        headers(1, POST, END_HEADERS),
        lambda at: data(1, b"\x05" + bytes(5), 0x8),
        "empty_frame_flood",
        id="DATA that is all padding",
    ),
    pytest.param(
        b"", lambda at: frame(PRIORITY, 0, 1, number(7) + b"a"), "idle_frame_flood", id="PRIORITY"
    ),
    pytest.param(b"", lambda at: frame(77, 0, 0, b"abc"), "idle_frame_flood", id="unknown frames"),
    pytest.param(headers(1) + rst(1), lambda at: rst(1), "idle_frame_flood", id="late RST_STREAM"),
    pytest.param(headers(1), lambda at: window(1, 1), "window_flood", id="WINDOW_UPDATE"),
    pytest.param(b"", lambda at: window(0, 1), "window_flood", id="the connection's"),
]


@pytest.mark.parametrize(("before", "make", "name"), FLOODS)
def test_so_often_and_not_once_more(before: bytes, make: object, name: str) -> None:
    assert callable(make)
    codec = server()
    codec.receive(before)
    codec.relax()
    sent, taken = [make(at) for at in range(MOST * 3)], 0
    with pytest.raises(WireError) as caught:
        for each in sent:
            codec.receive(each)
            taken += 1
    assert MOST - 2 <= taken <= MOST
    assert caught.value.details == f"http2.{name}"
    assert code_of_goaway(codec.take()) == CALM
    assert codec.receive(headers(99)) == []


@pytest.mark.parametrize(("before", "make", "name"), FLOODS)
def test_half_as_often_all_the_time(before: bytes, make: object, name: str) -> None:
    assert callable(make)
    codec = server()
    codec.receive(before)
    for at in range(MOST * 10):
        if at % (MOST // 2 - 2) == 0:
            codec.relax()
            codec.take()
        codec.receive(make(at))


def test_windows_of_a_few_bytes() -> None:
    """Whoever opens a window byte by byte is sent frame by frame, for a while."""
    codec = server()
    codec.receive(headers(1) + settings((4, 0)))
    codec.send_headers(1, OK, False)
    sent = 0
    with pytest.raises(WireError) as caught:
        while sent < MOST * 3:
            assert WindowOpened(1) in codec.receive(window(1, 1))
            codec.send_data(1, b"a", False)
            sent += 1
    assert sent == MOST + 1
    assert caught.value.details == "http2.tiny_windows"


def test_small_messages_are_no_small_windows() -> None:
    codec = server()
    codec.receive(headers(1))
    codec.send_headers(1, OK, False)
    for _ in range(MOST * 10):
        codec.send_data(1, b"a", False)
        codec.receive(window(1, 1) + window(0, 1))


def test_many_open_streams_make_settings_dear() -> None:
    """Each changes the window of all of them."""
    codec = server(Bounds(max_h2_control_frames=100))
    codec.receive(b"".join(headers(stream(at)) for at in range(96)))
    with pytest.raises(WireError):
        for at in range(20):
            codec.receive(settings((4, at)))
    assert at == 100 // 7


def test_many_settings_in_one_frame_change_windows_once() -> None:
    codec = server()
    codec.receive(headers(1))
    events = codec.receive(settings(*[(4, at % 2 + 70_000) for at in range(2000)]))
    assert events == [WindowOpened(0), SettingsCame()]
    assert codec.window(1) == 65_535


def test_continuation_frames() -> None:
    codec = server()
    lines = block(GET)
    codec.receive(frame(HEADERS, END, 1, lines))
    assert codec.receive(
        frame(CONTINUATION, 0, 1) * (MOST - 1) + frame(CONTINUATION, END_HEADERS, 1)
    ) == [HeadersCame(1, GET, True)]
    codec.receive(frame(HEADERS, END, 3, lines) + frame(CONTINUATION, 0, 3) * MOST)
    with pytest.raises(WireError) as caught:
        codec.receive(frame(CONTINUATION, END_HEADERS, 3))
    assert caught.value.details == "http2.continuation_flood"
    assert code_of_goaway(codec.take()) == CALM


def test_a_block_without_end() -> None:
    codec = server()
    codec.receive(frame(HEADERS, 0, 1, bytes(16_000)))
    with pytest.raises(WireError) as caught:
        codec.receive(frame(CONTINUATION, 0, 1, bytes(16_000)))
    assert caught.value.details == "http2.continuation_flood"
    assert sys.getsizeof(codec.take()) < 200


def test_headers_over_the_bound_can_be_answered() -> None:
    codec = server()
    big = [*GET, *[(b"x-%d" % at, b"v" * 1000) for at in range(10)]]
    (event,) = codec.receive(headers(1, big))
    assert isinstance(event, HeadersCame)
    assert event.too_large
    codec.send_headers(1, [(b":status", b"431")], True)
    assert codec.receive(headers(3)) == [HeadersCame(3, GET, True)]


def test_trailers_over_the_bound() -> None:
    codec = server()
    codec.receive(headers(1, POST, END_HEADERS))
    codec.receive(headers(1, [(b"x-%d" % at, b"v" * 1000) for at in range(10)]))
    assert resets(codec.take()) == [(1, CALM)]


def test_a_block_of_few_bytes_that_is_large() -> None:
    """An HPACK bomb: one long line in the table, named again and again."""
    codec = server()
    line = b"\x40\x01x" + integer(4000, 7, 0) + b"v" * 4000
    with pytest.raises(WireError) as caught:
        codec.receive(frame(HEADERS, END | END_HEADERS, 1, line + b"\xbe" * 1000))
    assert caught.value.details == "http2.header_bomb"
    assert code_of_goaway(codec.take()) == CALM


def test_what_is_remembered_of_closed_streams_is_bounded() -> None:
    codec = server(Bounds(max_h2_resets=10**6))
    for at in range(10_000):
        codec.receive(headers(stream(at)) + rst(stream(at)))
        codec.take()
    assert len(codec._closed) + len(codec._closed_before) <= 2048
    assert not codec._streams


def late(codec: FastCodec, most: int) -> int:
    """How many frames with a byte each are taken on stream 1, which was reset; not one more than
    was on its way and MOST that change nothing."""
    taken = 0
    with contextlib.suppress(WireError):
        for _ in range(most):
            assert codec.receive(data(1, b"x")) == []
            taken += 1
    return taken


def test_what_was_on_its_way_to_a_stream_that_we_reset_is_no_flood() -> None:
    """A server that streams small messages has sent thousands before it reads of the reset."""
    codec = server()
    codec.receive(headers(1, POST, END_HEADERS) + data(1, b"x" * 1000))
    left = 100_000 - 1000
    codec.reset(1, Code.CANCEL)
    assert late(codec, left + MOST) == left + MOST
    assert late(codec, 1) == 0


def test_nor_is_the_body_of_a_request_that_we_refused() -> None:
    codec = server(streams=0)
    codec.receive(headers(1, POST, END_HEADERS))
    assert late(codec, 100_000 + MOST + 1) == 100_000 + MOST


def test_a_request_without_a_body_that_we_refused_has_nothing_on_its_way() -> None:
    codec = server(streams=0)
    codec.receive(headers(1))
    assert late(codec, MOST + 1) == MOST


def test_what_has_ended_has_nothing_on_its_way() -> None:
    codec = server()
    codec.receive(headers(1))
    codec.reset(1, Code.CANCEL)
    assert late(codec, MOST + 1) == MOST


def test_empty_frames_are_never_on_their_way() -> None:
    codec = server()
    codec.receive(headers(1, POST, END_HEADERS))
    codec.reset(1, Code.CANCEL)
    with pytest.raises(WireError) as caught:
        for _ in range(MOST + 1):
            codec.receive(data(1, b""))
    assert caught.value.details == "http2.idle_frame_flood"
