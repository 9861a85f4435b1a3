"""What breaks an HTTP/2 connection, what one stream, and what is passed over (RFC 9113)."""

from __future__ import annotations

import pytest

from meshproxy.wire.errors import WireError
from meshproxy.wire.h2 import (
    Code,
    Codec,
    DataCame,
    HeadersCame,
    SettingsCame,
    StreamEnded,
    StreamReset,
    WindowOpened,
)
from meshproxy.wire.h2_fast import FastCodec
from meshproxy.wire.h2_reference import ReferenceCodec
from tests.support.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END,
    END_HEADERS,
    GET,
    GOAWAY,
    HEADERS,
    OK,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    WITH_PRIORITY,
    block,
    code_of_goaway,
    cut,
    data,
    frame,
    headers,
    number,
    resets,
    rst,
    settings,
    window,
)

WINDOW_SIZE = 100_000
PROTOCOL, FLOW, CLOSED, SIZE, REFUSED, COMPRESSION, CALM = 1, 3, 5, 6, 7, 9, 11
REST = block(GET)[3:]
BOTH = pytest.mark.parametrize("make", [FastCodec, ReferenceCodec])
Make = type[FastCodec] | type[ReferenceCodec]


def server(make: Make = FastCodec, streams: int = 100) -> Codec:
    codec = make(False, streams, WINDOW_SIZE, 8192)
    codec.start()
    codec.receive(PREFACE + settings() + frame(SETTINGS, ACK))
    codec.take()
    return codec


def client() -> FastCodec:
    codec = FastCodec(True, 100, WINDOW_SIZE, 8192)
    codec.start()
    codec.receive(settings() + frame(SETTINGS, ACK))
    codec.take()
    return codec


BROKEN = [
    pytest.param(data(0), PROTOCOL, id="DATA on stream 0"),
    pytest.param(data(1), PROTOCOL, id="DATA on an idle stream"),
    pytest.param(headers(0), PROTOCOL, id="HEADERS on stream 0"),
    pytest.param(headers(2), PROTOCOL, id="HEADERS on a stream of ours"),
    pytest.param(headers(5) + headers(3), PROTOCOL, id="HEADERS on a stream that was skipped"),
    pytest.param(rst(0), PROTOCOL, id="RST_STREAM on stream 0"),
    pytest.param(rst(1), PROTOCOL, id="RST_STREAM on an idle stream"),
    pytest.param(headers(1) + frame(RST, 0, 1, b"abc"), SIZE, id="RST_STREAM too short"),
    pytest.param(window(0, 0), PROTOCOL, id="a window opened by nothing"),
    pytest.param(window(1, 1), PROTOCOL, id="WINDOW_UPDATE on an idle stream"),
    pytest.param(frame(WINDOW, 0, 0, b"abc"), SIZE, id="WINDOW_UPDATE too short"),
    pytest.param(window(0, 2**31 - 1), FLOW, id="the connection's window over 2^31-1"),
    pytest.param(frame(SETTINGS, 0, 1), PROTOCOL, id="SETTINGS on a stream"),
    pytest.param(frame(SETTINGS, ACK, 0, bytes(6)), SIZE, id="an acknowledgement that holds some"),
    pytest.param(frame(SETTINGS, 0, 0, bytes(5)), SIZE, id="half a setting"),
    pytest.param(settings((2, 2)), PROTOCOL, id="ENABLE_PUSH of 2"),
    pytest.param(settings((4, 2**31)), FLOW, id="INITIAL_WINDOW_SIZE over 2^31-1"),
    pytest.param(settings((5, 16_383)), PROTOCOL, id="MAX_FRAME_SIZE too small"),
    pytest.param(settings((5, 2**24)), PROTOCOL, id="MAX_FRAME_SIZE too large"),
    pytest.param(settings((8, 2)), PROTOCOL, id="ENABLE_CONNECT_PROTOCOL of 2"),
    pytest.param(frame(PING, 0, 1, bytes(8)), PROTOCOL, id="PING on a stream"),
    pytest.param(frame(PING, 0, 0, bytes(7)), SIZE, id="PING too short"),
    pytest.param(frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL, id="GOAWAY on a stream"),
    pytest.param(frame(GOAWAY, 0, 0, bytes(7)), SIZE, id="GOAWAY too short"),
    pytest.param(frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL, id="PRIORITY on stream 0"),
    pytest.param(frame(PRIORITY, 0, 1, bytes(4)), SIZE, id="PRIORITY too short"),
    pytest.param(frame(PRIORITY, 0, 3, number(3) + b"a"), PROTOCOL, id="a stream before itself"),
    pytest.param(
        frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, number(1) + b"a" + block(GET)),
        PROTOCOL,
        id="a new stream before itself",
    ),
    pytest.param(frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, b"abcd"), SIZE, id="no priority"),
    pytest.param(frame(PUSH, END_HEADERS, 1, number(2) + REST), PROTOCOL, id="PUSH_PROMISE"),
    pytest.param(frame(CONTINUATION, END_HEADERS, 1), PROTOCOL, id="CONTINUATION of nothing"),
    pytest.param(headers(1, GET, END) + data(1), PROTOCOL, id="DATA inside a block"),
    pytest.param(headers(1, GET, END) + frame(99), PROTOCOL, id="an unknown frame inside a block"),
    pytest.param(
        headers(1, GET, END) + frame(CONTINUATION, END_HEADERS, 3),
        PROTOCOL,
        id="CONTINUATION of another stream",
    ),
    pytest.param(frame(HEADERS, END_HEADERS, 1, b"\x80"), COMPRESSION, id="a broken block"),
    pytest.param(frame(DATA, 0, 0, bytes(16_385)), SIZE, id="a frame too long"),
    pytest.param(
        headers(1, POST, END_HEADERS) + data(1, b"\x05abcd", PADDED),
        PROTOCOL,
        id="padding too long",
    ),
    pytest.param(
        headers(1, POST, END_HEADERS) + data(1, b"", PADDED), SIZE, id="padding without a length"
    ),
    pytest.param(
        frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + REST), PROTOCOL, id="HEADERS' padding"
    ),
]


@BOTH
@pytest.mark.parametrize(("sent", "code"), BROKEN)
def test_what_breaks_a_connection(make: Make, sent: bytes, code: int) -> None:
    codec = server(make)
    with pytest.raises(WireError):
        codec.receive(sent)
    found = code_of_goaway(codec.take())
    # The library says PROTOCOL_ERROR where it has no better word for it.
    assert found == code or (make is ReferenceCodec and found == PROTOCOL)


@pytest.mark.parametrize("sent", [frame(PING, 0, 0, bytes(8)), headers(1), frame(SETTINGS, ACK)])
def test_the_first_frame_must_be_settings(sent: bytes) -> None:
    """Section 3.4. The library does not mind."""
    codec = FastCodec(False, 100, WINDOW_SIZE, 8192)
    codec.start()
    codec.take()
    with pytest.raises(WireError):
        codec.receive(PREFACE + sent)
    assert code_of_goaway(codec.take()) == PROTOCOL


@BOTH
def test_another_preface(make: Make) -> None:
    codec = make(False, 100, WINDOW_SIZE, 8192)
    codec.start()
    codec.take()
    with pytest.raises(WireError):
        codec.receive(b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n")


STREAM = [
    pytest.param(headers(1) + data(1), CLOSED, id="DATA after the end"),
    pytest.param(headers(1) + headers(1), CLOSED, id="HEADERS after the end"),
    pytest.param(headers(1) + rst(1) + data(1), CLOSED, id="DATA after RST_STREAM"),
    pytest.param(headers(1) + rst(1) + headers(1), CLOSED, id="HEADERS after RST_STREAM"),
    pytest.param(headers(1) + window(1, 0), PROTOCOL, id="a window opened by nothing"),
    pytest.param(headers(1) + window(1, 2**31 - 1), FLOW, id="a window over 2^31-1"),
    pytest.param(
        headers(1, POST, END_HEADERS) + headers(1, [(b"x", b"y")], END_HEADERS),
        PROTOCOL,
        id="trailers that are not the end",
    ),
    pytest.param(
        headers(1, [*POST, (b"content-length", b"2")], END_HEADERS) + data(1, b"abc"),
        PROTOCOL,
        id="more than Content-Length",
    ),
    pytest.param(
        headers(1, [*POST, (b"content-length", b"4")], END_HEADERS) + data(1, b"abc", END),
        PROTOCOL,
        id="less than Content-Length",
    ),
    pytest.param(
        headers(1, [*POST, (b"content-length", b"4")], END_HEADERS) + headers(1, [(b"x", b"y")]),
        PROTOCOL,
        id="trailers before Content-Length",
    ),
    pytest.param(headers(1, [*POST, (b"content-length", b"4")]), PROTOCOL, id="a length, no body"),
    pytest.param(
        headers(1, POST, END_HEADERS) + data(1, bytes(16_384)) * 6 + data(1, bytes(1697)),
        FLOW,
        id="data beyond the window",
    ),
]


@pytest.mark.parametrize(("sent", "code"), STREAM)
def test_what_breaks_a_stream(sent: bytes, code: int) -> None:
    """The library takes most of it for the connection's end."""
    codec = server()
    codec.receive(sent)
    assert resets(codec.take()) == [(1, code)]
    assert codec.receive(headers(3)) == [HeadersCame(3, GET, True)]


def test_the_owner_is_told_why_its_stream_was_reset() -> None:
    codec = server()
    codec.receive(headers(1, POST, END_HEADERS))
    (event,) = codec.receive(window(1, 0))
    assert isinstance(event, StreamReset)
    assert (event.stream_id, event.code) == (1, PROTOCOL)
    assert event.reason
    assert codec.receive(headers(3) + rst(3, 8))[1:] == [StreamReset(3, 8)]


def test_streams_over_the_bound_are_refused() -> None:
    codec = server(streams=2)
    assert len(codec.receive(headers(1) + headers(3) + headers(5))) == 2
    assert resets(codec.take()) == [(5, REFUSED)]
    codec.send_headers(1, OK, True)
    assert len(codec.receive(headers(7))) == 1


def test_data_on_a_stream_that_both_sides_ended() -> None:
    codec = server()
    codec.receive(headers(1))
    codec.send_headers(1, OK, True)
    codec.take()
    with pytest.raises(WireError):
        codec.receive(data(1, b"abc"))
    assert code_of_goaway(codec.take()) == CLOSED


IGNORED = [
    pytest.param(frame(99, 0xFF, 1, b"abc"), id="an unknown frame"),
    pytest.param(settings((99, 1)), id="an unknown setting"),
    pytest.param(frame(PRIORITY, 0, 1, bytes(5)), id="PRIORITY on an idle stream"),
    pytest.param(frame(PING, ACK, 0, bytes(8)), id="the answer to no PING"),
    pytest.param(headers(1) + rst(1) + window(1, 5), id="WINDOW_UPDATE on a closed stream"),
    pytest.param(headers(1) + rst(1) + rst(1), id="a second RST_STREAM"),
]


@BOTH
@pytest.mark.parametrize("sent", IGNORED)
def test_what_is_passed_over(make: Make, sent: bytes) -> None:
    codec = server(make)
    codec.receive(sent)
    assert resets(codec.take()) == []
    assert codec.receive(headers(3)) == [HeadersCame(3, GET, True)]


@BOTH
def test_what_was_on_its_way_when_we_reset_a_stream(make: Make) -> None:
    codec = server(make)
    codec.receive(headers(1, POST, END_HEADERS))
    codec.reset(1, Code.CANCEL)
    codec.take()
    assert [e for e in codec.receive(data(1, b"abc")) if isinstance(e, DataCame)] == []
    codec.receive(headers(1, [(b"x", b"y")]))
    assert codec.receive(headers(3)) == [HeadersCame(3, GET, True)]


@BOTH
def test_bytes_may_come_one_by_one(make: Make) -> None:
    codec = make(False, 100, WINDOW_SIZE, 8192)
    codec.start()
    lines = block(POST)
    sent = PREFACE + settings() + frame(HEADERS, 0, 1, lines[:5])
    sent += frame(CONTINUATION, 0, 1, b"") + frame(CONTINUATION, END_HEADERS, 1, lines[5:])
    sent += data(1, b"\x03abc" + bytes(3), PADDED) + data(1, b"", END)
    events = [event for byte in sent for event in codec.receive(bytes((byte,)))]
    seen = [e for e in events if not isinstance(e, WindowOpened | SettingsCame)]
    assert [e for e in seen if not isinstance(e, DataCame)] == [
        HeadersCame(1, POST, False),
        StreamEnded(1, []),
    ]
    came = [e for e in seen if isinstance(e, DataCame)]
    assert b"".join(e.data for e in came) == b"abc"
    assert sum(e.counted for e in came) == 7


@BOTH
def test_pings_and_settings_are_answered(make: Make) -> None:
    codec = server(make)
    codec.receive(frame(PING, 0, 0, b"12345678") + settings((3, 7)))
    assert cut(codec.take()) == [(PING, ACK, 0, b"12345678"), (SETTINGS, ACK, 0, b"")]
    assert codec.max_streams() == 7


@BOTH
def test_initial_windows_change_those_of_open_streams(make: Make) -> None:
    codec = server(make)
    codec.receive(headers(1))
    codec.send_headers(1, OK, False)
    codec.send_data(1, bytes(100), False)
    codec.receive(settings((4, 50)))
    assert codec.window(1) == -50
    assert WindowOpened(0) in codec.receive(settings((4, 150)))
    assert codec.window(1) == 50


def test_frames_are_as_large_as_the_peer_takes_them() -> None:
    codec = server()
    codec.receive(headers(1) + window(0, 1 << 20) + window(1, 1 << 20))
    codec.send_headers(1, [*OK, (b"x", b"v" * 40_000)], False)
    codec.send_data(1, bytes(40_000), True)
    sizes = [(kind, flags, len(payload)) for kind, flags, _, payload in cut(codec.take())]
    assert [size for _, _, size in sizes[:3]] == [16_384, 16_384, 40_008 - 2 * 16_384]
    assert [kind for kind, _, _ in sizes[:3]] == [HEADERS, CONTINUATION, CONTINUATION]
    assert [flags for _, flags, _ in sizes[:3]] == [0, 0, END_HEADERS]
    assert sizes[3:] == [(DATA, 0, 16_384), (DATA, 0, 16_384), (DATA, END, 7232)]
    codec.receive(settings((5, 100_000)) + headers(3))
    codec.send_headers(3, OK, False)
    codec.send_data(3, bytes(20_000), False)
    assert [len(payload) for kind, _, _, payload in cut(codec.take()) if kind == DATA] == [20_000]


def test_small_windows_of_ours_count_once_the_peer_knows_them() -> None:
    codec = FastCodec(False, 100, 1000, 8192)
    codec.start()
    codec.receive(PREFACE + settings() + headers(1, POST, END_HEADERS) + data(1, bytes(16_384)))
    codec.take()
    codec.consumed(1, 16_384)
    codec.receive(frame(SETTINGS, ACK) + headers(3, POST, END_HEADERS))
    codec.receive(data(1, bytes(1000)) + data(3, bytes(1000)))
    assert resets(codec.take()) == []
    codec.receive(data(1, b"a") + data(3, b"a"))
    assert resets(codec.take()) == [(1, FLOW), (3, FLOW)]


# As a client.


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(headers(2, OK), PROTOCOL, id="HEADERS on a stream of the server's"),
        pytest.param(headers(3, OK), PROTOCOL, id="HEADERS on a stream that was not opened"),
        pytest.param(settings((2, 1)), PROTOCOL, id="ENABLE_PUSH"),
        pytest.param(frame(PUSH, END_HEADERS, 1, number(2) + REST), PROTOCOL, id="PUSH_PROMISE"),
    ],
)
def test_what_breaks_a_clients_connection(sent: bytes, code: int) -> None:
    codec = client()
    codec.send_headers(codec.new_stream(), GET, True)
    codec.take()
    with pytest.raises(WireError):
        codec.receive(sent)
    assert code_of_goaway(codec.take()) == code


@pytest.mark.parametrize(
    ("method", "sent", "code"),
    [
        pytest.param(b"GET", data(1, b"abc"), PROTOCOL, id="data before the head"),
        pytest.param(b"GET", headers(1, [(b":status", b"103")]), PROTOCOL, id="103 and the end"),
        pytest.param(
            b"HEAD",
            headers(1, [*OK, (b"content-length", b"3")], END_HEADERS) + data(1, b"abc"),
            PROTOCOL,
            id="a body for HEAD",
        ),
        pytest.param(
            b"GET", headers(1, [*OK, (b"x", b"v" * 9000)]), CALM, id="headers over the bound"
        ),
    ],
)
def test_what_breaks_a_clients_stream(method: bytes, sent: bytes, code: int) -> None:
    codec = client()
    codec.send_headers(codec.new_stream(), [(b":method", method), *GET[1:]], True)
    codec.take()
    codec.receive(sent)
    assert resets(codec.take()) == [(1, code)]


@pytest.mark.parametrize(
    ("method", "lines"),
    [
        (b"HEAD", [*OK, (b"content-length", b"3")]),
        (b"GET", [(b":status", b"304"), (b"content-length", b"3")]),
    ],
)
def test_answers_that_have_a_length_and_no_body(
    method: bytes, lines: list[tuple[bytes, bytes]]
) -> None:
    codec = client()
    codec.send_headers(codec.new_stream(), [(b":method", method), *GET[1:]], True)
    assert codec.receive(headers(1, lines)) == [HeadersCame(1, lines, True)]


def test_interim_answers_come_before_the_answer() -> None:
    codec = client()
    codec.send_headers(codec.new_stream(), GET, True)
    early = [(b":status", b"103"), (b"link", b"</a>")]
    events = codec.receive(headers(1, early, END_HEADERS) * 2 + headers(1, OK))
    assert events == [HeadersCame(1, early, False)] * 2 + [HeadersCame(1, OK, True)]


def test_few_streams_until_the_servers_settings_are_here() -> None:
    codec = FastCodec(True, 100, WINDOW_SIZE, 8192)
    codec.start()
    assert codec.max_streams() == 100
    codec.receive(settings((3, 5000)))
    assert codec.max_streams() == 5000
