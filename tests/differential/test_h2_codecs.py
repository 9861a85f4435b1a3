"""Both HTTP/2 codecs are fed the same frames, right and wrong, and say the same of them.

Where the library ends the connection, ours may reset the stream alone (RFC 9113 5.4.2, 8.1.1); from
there on they differ, and the sequence ends. What else they differ in stands in `known`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.wire.errors import WireError
from meshproxy.wire.h2 import (
    Code,
    Codec,
    DataCame,
    Event,
    HeadersCame,
    StreamEnded,
    StreamReset,
    WindowOpened,
)
from meshproxy.wire.h2_fast import FastCodec
from meshproxy.wire.h2_heads import (
    check_trailers,
    request_head,
)
from meshproxy.wire.h2_reference import ReferenceCodec
from tests.support import frames
from tests.support.frames import ACK, END, END_HEADERS, GET, OK, PADDED, POST, PREFACE, frame

WINDOW = 70_000
GREETING = PREFACE + frames.settings() + frame(frames.SETTINGS, ACK)

STREAMS = st.sampled_from([1, 1, 1, 3, 3, 5, 7, 2, 0])
LENGTH = b"content-length"
LINES = st.sampled_from(
    [
        GET,
        GET,
        POST,
        POST,
        [*POST, (LENGTH, b"3")],
        [*POST, (LENGTH, b"6"), (b"te", b"trailers")],
        [*POST, (LENGTH, b"x")],
        [*GET, (b"x-a", b"1"), (b"x-a", b"2"), (b"cookie", b"a=b")],
        [*GET, (b"X-A", b"1")],
        [*GET, (b"x-a", b" 1")],
        [*GET, (b"connection", b"close")],
        [*GET, (b"te", b"gzip")],
        [*GET, (b"host", b"other")],
        [*GET, (b":path", b"/again")],
        [(b"x-a", b"1"), *GET],
        GET[1:],
        [*GET[:2], (b":path", b""), GET[3]],
        OK,
        [(b"x-sum", b"1")],
        [(b"x-sum", b"1")],
    ]
)
FLAGS = st.sampled_from([0, END])


@st.composite
def head(draw: st.DrawFn) -> bytes:
    stream, flags, block = draw(STREAMS), draw(FLAGS), frames.block(draw(LINES))
    if draw(st.booleans()):
        return frame(frames.HEADERS, flags | END_HEADERS, stream, block)
    if draw(st.booleans()):
        priority = frames.number(draw(STREAMS)) + b"\x10"
        kind = flags | END_HEADERS | frames.WITH_PRIORITY | PADDED
        return frame(frames.HEADERS, kind, stream, b"\x03" + priority + block + bytes(3))
    at = draw(st.integers(0, len(block)))
    rest = frame(frames.CONTINUATION, END_HEADERS, stream, block[at:])
    return frame(frames.HEADERS, flags, stream, block[:at]) + rest


@st.composite
def data(draw: st.DrawFn) -> bytes:
    body = draw(st.sampled_from([b"", b"abc", b"abc", b"abcdef", bytes(16_384), bytes(16_385)]))
    flags = draw(FLAGS)
    if draw(st.integers(0, 3)) == 0:
        padding = draw(st.sampled_from([0, 1, 200, 255]))
        flags, body = flags | PADDED, bytes((padding,)) + body[:9000] + bytes(min(padding, 200))
    return frame(frames.DATA, flags, draw(STREAMS), body)


PAIRS = st.tuples(st.integers(1, 8), st.sampled_from([0, 1, 2, 70_000, 16_384, 2**31 - 1, 2**31]))
FRAMES = st.one_of(
    head(),
    head(),
    head(),
    data(),
    data(),
    st.builds(frames.rst, STREAMS, st.integers(0, 13)),
    st.builds(frames.window, STREAMS, st.sampled_from([0, 1, 1000, 2**31 - 1])),
    # Each setting once: of a repeated one the library only sees the last.
    st.lists(PAIRS, max_size=3, unique_by=lambda pair: pair[0]).map(
        lambda pairs: frames.settings(*pairs)
    ),
    st.builds(
        frame,
        st.sampled_from([*range(10), 11, 99]),
        st.sampled_from([0, 1, 4, 8]),
        STREAMS,
        st.sampled_from([b"", bytes(4), bytes(5), bytes(6), bytes(8), b"\x80"]),
    ),
)


def answer(codec: Codec, stream: int) -> None:
    codec.send_headers(stream, OK, True)


def answer_with_data(codec: Codec, stream: int) -> None:
    codec.send_headers(stream, OK, False)
    if codec.window(stream) >= 3:
        codec.send_data(stream, b"abc", True)


def give_up(codec: Codec, stream: int) -> None:
    codec.reset(stream, Code.CANCEL)


Act = Callable[[Codec, int], None]
ACTS: st.SearchStrategy[Act | None] = st.sampled_from(
    [None, None, None, None, answer, answer_with_data, give_up]
)


class Side:
    """A codec as a server, and what its owner knows."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        codec.start()
        codec.receive(GREETING)
        codec.take()
        self.open: set[int] = set()

    def feed(self, sent: bytes) -> tuple[bool, list[Event], list[tuple[int, int]]]:
        """Whether the connection, or the stream, was refused; events; resets by us."""
        try:
            events = self.codec.receive(sent)
        except WireError:
            assert frames.code_of_goaway(self.codec.take()) is not None
            return True, [], []
        refused = any(isinstance(event, StreamReset) and event.reason for event in events)
        for event in events:
            if isinstance(event, HeadersCame):
                refused |= not _good(event)
                self.open.add(event.stream_id)
            elif isinstance(event, StreamEnded):
                with contextlib.suppress(WireError):
                    check_trailers(event.trailers, 100)
                    continue
                refused = True
            elif isinstance(event, StreamReset):
                self.open.discard(event.stream_id)
        told = [event for event in events if not isinstance(event, WindowOpened)]
        told = [e for e in told if not (isinstance(e, DataCame) and e.counted == 0)]
        return refused, told, frames.resets(self.codec.take())


def _good(event: HeadersCame) -> bool:
    try:
        request_head(event.headers, event.end, 100)
    except WireError:
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(FRAMES, ACTS), max_size=25))
def test_both_say_the_same(sequence: list[tuple[bytes, Act | None]]) -> None:
    fast = Side(FastCodec(False, 100, WINDOW, 65_536))
    library = Side(ReferenceCodec(False, 100, WINDOW, 65_536))
    given_up: set[int] = set()
    for sent, act in sequence:
        refused, events, resets = fast.feed(sent)
        wanted = library.feed(sent)
        broken, theirs = refused or bool(resets), wanted[0] or bool(wanted[2])
        if theirs and not broken and on_its_way(sent, given_up):
            return
        if broken and not theirs and overlooked(sent, fast.codec.last_stream()):
            return
        assert broken == theirs
        if broken:
            return
        assert events == wanted[1]
        if act is not None and fast.open:
            stream = min(fast.open)
            if act is give_up:
                given_up.add(stream)
            for side in (fast, library):
                act(side.codec, stream)
                side.open.discard(stream)
                side.codec.take()


def on_its_way(sent: bytes, given_up: set[int]) -> bool:
    """What comes on a stream that we have reset is passed over, and so is any WINDOW_UPDATE on one
    that has ended (RFC 9113 5.1), be it by nothing."""
    kind, _, stream, payload = frames.cut(sent)[0]
    if kind == frames.WINDOW:
        return payload == bytes(4)
    return stream in given_up and kind in (frames.HEADERS, frames.DATA)


def overlooked(sent: bytes, last: int) -> bool:
    """A RST_STREAM on an idle stream breaks the connection (RFC 9113 6.4)."""
    kind, _, stream, _ = frames.cut(sent)[0]
    return kind == frames.RST and (stream > last or stream % 2 == 0)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAMES, max_size=25), st.integers(0, 2**32), st.booleans())
def test_whatever_comes_is_taken_or_refused(sent: list[bytes], seed: int, client: bool) -> None:
    """Bytes changed at random, and cut at random: nothing but `WireError`, and little kept."""
    chance = random.Random(seed)
    stream = bytearray(b"".join(sent))
    for _ in range(chance.randrange(4)):
        if stream:
            stream[chance.randrange(len(stream))] = chance.randrange(256)
    codec = FastCodec(client, 100, WINDOW, 8192)
    codec.start()
    codec.receive(frames.settings() if client else GREETING)
    codec.send_headers(codec.new_stream(), GET, True)
    whole = bytes(stream)
    while whole:
        size = chance.choice([1, 9, 100, 20_000])
        try:
            for event in codec.receive(whole[:size]):
                if isinstance(event, DataCame):
                    codec.consumed(event.stream_id, event.counted)
        except WireError:
            assert frames.code_of_goaway(codec.take()) is not None
            assert codec.receive(whole) == []
            return
        whole = whole[size:]
        codec.take()
