"""The streams of an HTTP/2 connection, and what we send on them (RFC 9113 sections 5 and 6).

A stream is in the table as long as either side may still send on it. Of those that have ended, how
they did is remembered for a while, as it decides what a late frame means. The other half, frames
that come, is `meshproxy.wire.h2_fast`.
"""

from __future__ import annotations

from typing import Any, Final

from meshproxy.wire import h2_frames as frames
from meshproxy.wire.h2 import STREAM_WINDOWS, UNTIL_TOLD, Code, Codec
from meshproxy.wire.h2_floods import Bounds, Floods
from meshproxy.wire.h2_frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    HEADERS,
    MAX_STREAM,
    MAX_WINDOW,
    WINDOW,
)
from meshproxy.wire.heads import Headers
from meshproxy.wire.hpack_encoder import Encoder

# How a stream came to its end.
ENDED: Final = 1  # both sides said all
RESET_BY_PEER: Final = 2
RESET_BY_US: Final = 3  # what comes late was on its way
_REMEMBERED: Final = 1024  # streams that have ended, at least


class StreamState:
    """``send_window`` is what we may send, ``receive_window`` what the peer may; ``owed`` was
    passed on and is not yet given back. ``expected``: bytes of data still to come by the
    Content-Length, -1 if there is none."""

    __slots__ = (
        "bodyless",
        "expected",
        "headed",
        "id",
        "measured",
        "owed",
        "peer_open",
        "receive_window",
        "send_window",
        "we_open",
    )

    def __init__(self, stream_id: int, send_window: int, receive_window: int) -> None:
        self.id = stream_id
        self.send_window = send_window
        self.receive_window = receive_window
        self.owed = 0
        self.peer_open = True
        self.we_open = True
        self.headed = False  # the peer's head has come, interim answers aside
        self.bodyless = False  # an answer to HEAD
        self.measured = True  # not an answer to CONNECT: RFC 9110 9.3.6
        self.expected = -1


class Sender(Codec):
    """The sending half of `meshproxy.wire.h2.Codec`."""

    def __init__(self, client: bool, window: int, bounds: Bounds) -> None:
        self._client = client
        self._floods = Floods(bounds)
        self._out: list[bytes] = []
        # The stream whose data is the last that was made, and where it ends in `_out`.
        self._open_data = 0
        self._open_end = 0
        self._streams: dict[int, StreamState] = {}
        self._closed: dict[int, int] = {}
        self._closed_before: dict[int, int] = {}
        self._last = 0  # the highest stream that the peer opened
        self._next = 1 if client else 2  # the lowest that we have not opened
        self._encoder = Encoder()
        # What the peer lets us do.
        self._send_window = WINDOW
        self._stream_send_window = WINDOW
        self._peer_frame = FRAME_BYTES
        self._peer_streams = UNTIL_TOLD
        # What we let the peer do. Until it knows our settings it goes by the default window.
        self._connection_window = min(max(WINDOW, window * STREAM_WINDOWS), MAX_WINDOW)
        self._receive_window = self._connection_window
        self._owed = 0
        self._window = window
        self._stream_receive_window = max(window, WINDOW)

    def take(self) -> bytes:
        out = self._out
        if not out:
            return b""
        self._out = []
        self._open_data = 0
        return b"".join(out)

    def new_stream(self) -> int:
        number = self._next
        self._next = number + 2
        stream = StreamState(number, self._stream_send_window, self._stream_receive_window)
        self._streams[number] = stream
        return number

    def send_headers(self, stream_id: int, headers: Headers, end: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or not stream.we_open:
            return  # reset in the same bytes as what is answered: its event comes next
        lines: list[Any] = headers
        if self._client:
            line: tuple[bytes, bytes] = lines[0]  # the method
            value = line[1]
            if value == b"HEAD":
                stream.bodyless = True
            elif value == b"CONNECT":
                stream.measured = False
        self._send_block(stream_id, lines, END_STREAM if end else 0)
        if end:
            self._end_sent(stream)

    def send_trailers(self, stream_id: int, trailers: Headers) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None and stream.we_open:
            self._send_block(stream_id, trailers, END_STREAM)
            self._end_sent(stream)

    def window(self, stream_id: int) -> int:
        stream = self._streams.get(stream_id)
        if stream is None:
            return 0
        mine, all_streams = stream.send_window, self._send_window
        return min(all_streams, mine)

    def send_data(self, stream_id: int, data: bytes, end: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or not stream.we_open:
            return
        size, most, out = len(data), self._peer_frame, self._out
        self._send_window -= size
        stream.send_window -= size
        flags = END_STREAM if end else 0
        if end and not size and self._open_data == stream_id and self._open_end == len(out):
            # The frame that has not gone out yet becomes the last one: one less for all to read.
            out[-2] = frames.head(len(out[-1]), DATA, END_STREAM, stream_id)
        elif size <= most:
            out.append(frames.head(size, DATA, flags, stream_id))
            out.append(data)
            self._open_data = stream_id
            self._open_end = len(out)
        else:
            for at in range(0, size, most):
                piece = data[at : at + most]
                last = flags if at + most >= size else 0
                out.append(frames.head(len(piece), DATA, last, stream_id))
                out.append(piece)
        if size:
            self._floods.sent(size, min(stream.send_window, self._send_window))
        if end:
            self._end_sent(stream)

    def consumed(self, stream_id: int, counted: int) -> None:
        self._give_back(counted)
        stream = self._streams.get(stream_id)
        if stream is not None and stream.peer_open:
            owed = stream.owed + counted
            # Half a window at a time: a frame for each read would cost both sides more.
            if owed * 2 >= self._window:
                stream.receive_window += owed
                self._out.append(frames.window_update(stream_id, owed))
                owed = 0
            stream.owed = owed

    def _give_back(self, counted: int) -> None:
        """Open the connection's window."""
        owed = self._owed + counted
        if owed * 2 >= self._connection_window:
            self._receive_window += owed
            self._out.append(frames.window_update(0, owed))
            owed = 0
        self._owed = owed

    def reset(self, stream_id: int, code: Code) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._out.append(frames.rst_stream(stream_id, code.value))
            self._close(stream, RESET_BY_US)

    def ping(self) -> None:
        self._out.append(frames.PING_ASK)

    def go_away(self, last_id: int) -> None:
        self._out.append(frames.go_away(last_id, Code.NO_ERROR.value))

    def last_stream(self) -> int:
        return self._last

    def max_streams(self) -> int:
        # Numbers run out after a thousand million requests.
        return self._peer_streams if self._next <= MAX_STREAM else 0

    def relax(self) -> None:
        self._floods.relax()

    def _send_block(self, stream_id: int, lines: list[Any], flags: int) -> None:
        block = self._encoder.encode(lines)
        size, most, out = len(block), self._peer_frame, self._out
        if size <= most:
            out.append(frames.head(size, HEADERS, flags | END_HEADERS, stream_id))
            out.append(block)
            return
        out.append(frames.head(most, HEADERS, flags, stream_id))
        out.append(block[:most])
        for at in range(most, size, most):
            piece = block[at : at + most]
            last = END_HEADERS if at + most >= size else 0
            out.append(frames.head(len(piece), frames.CONTINUATION, last, stream_id))
            out.append(piece)

    def _end_sent(self, stream: StreamState) -> None:
        stream.we_open = False
        if not stream.peer_open:
            self._close(stream, ENDED)

    def _close(self, stream: StreamState, how: int) -> None:
        del self._streams[stream.id]
        if how == RESET_BY_US and stream.peer_open:
            self._floods.we_reset(stream.receive_window)
        self._remember(stream.id, how)

    def _remember(self, stream_id: int, how: int) -> None:
        closed = self._closed
        if len(closed) >= _REMEMBERED:
            self._closed_before = closed
            closed = self._closed = {}
        closed[stream_id] = how

    def _how_closed(self, stream_id: int) -> int:
        """0: it was skipped, or forgotten."""
        return self._closed.get(stream_id) or self._closed_before.get(stream_id, 0)
