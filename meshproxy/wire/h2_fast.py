"""The HTTP/2 codec of our own: what comes from the peer (RFC 9113).

Frames are cut by hand and handled one by one, in a method for each kind. Three things can be wrong
with one: the connection can't go on (`Broken`: a GOAWAY is sent and ``receive`` raises), the stream
can't (`_refuse`: it is reset and its owner is told), or it means nothing any more and is passed
over. What may stand in a header is not known here: see `meshproxy.wire.h2`.
"""

from __future__ import annotations

from typing import Any, Final

from meshproxy.wire import h2_frames as frames
from meshproxy.wire.errors import Broken, WireError
from meshproxy.wire.h2 import (
    DataCame,
    Event,
    HeadersCame,
    StreamEnded,
)
from meshproxy.wire.h2_control import (
    CALM,
    COMPRESSION,
    FLOW_CONTROL,
    FRAME_SIZE,
    PROTOCOL,
    REFUSED,
    STREAM_CLOSED,
    Control,
)
from meshproxy.wire.h2_floods import DEFAULT, Bounds
from meshproxy.wire.h2_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    GOAWAY,
    HAS_PRIORITY,
    HEAD_BYTES,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    WINDOW_UPDATE,
)
from meshproxy.wire.h2_heads import (
    CONTENT_LENGTH,
    TOO_LARGE,
)
from meshproxy.wire.h2_sender import (
    ENDED,
    RESET_BY_PEER,
    RESET_BY_US,
    StreamState,
)
from meshproxy.wire.hpack_decoder import Decoder

_OTHER_LENGTH: Final = "the body is not as long as Content-Length says"
_PADDING: Final = "http2.padding"
_BOMB: Final = 4  # times the bound of a header list: no mistake, and not worth an answer


class FastCodec(Control):
    """See `meshproxy.wire.h2.Codec`."""

    def __init__(
        self,
        client: bool,
        max_streams: int,
        window: int,
        max_header_bytes: int,
        bounds: Bounds = DEFAULT,
    ) -> None:
        super().__init__(client, window, bounds)
        self._max_streams = max_streams
        self._max_header_bytes = max_header_bytes
        self._decoder = Decoder(max_header_bytes)
        self._rest = b""
        self._greeted = client  # the peer's preface has come; servers send none
        self._broken = False
        # A header block that is not whole yet.
        self._block_stream = 0
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._block_end = False

    def start(self) -> None:
        values = {
            frames.INITIAL_WINDOW_SIZE: self._window,
            frames.MAX_HEADER_LIST_SIZE: self._max_header_bytes,
        }
        if self._client:
            self._out.append(PREFACE)
            values[frames.ENABLE_PUSH] = 0
        else:
            values[frames.MAX_CONCURRENT_STREAMS] = self._max_streams
            values[frames.ENABLE_CONNECT_PROTOCOL] = 1
        self._out.append(frames.settings(values))
        if self._connection_window > WINDOW:
            self._out.append(frames.window_update(0, self._connection_window - WINDOW))

    def upgraded(self, settings: bytes) -> None:
        # RFC 7540 3.2.1: the answer to the request stands for their acknowledgement.
        self._take_settings(settings)
        self._last = 1
        stream = StreamState(1, self._stream_send_window, self._stream_receive_window)
        stream.headed = True
        stream.peer_open = False
        self._streams[1] = stream

    def receive(self, data: bytes) -> list[Event]:
        events = self._events = []
        if self._broken:
            return events
        try:
            self._read(self._rest + data if self._rest else data)
        except Broken as error:
            self._broken = True
            self._rest = b""
            self._out.append(frames.go_away(self._last, error.code))
            raise
        return events

    def _read(self, data: bytes) -> None:
        at, end = 0, len(data)
        if not self._greeted:
            if not PREFACE.startswith(data[: len(PREFACE)]):
                raise Broken(PROTOCOL, "HTTP/2: not the preface")
            if end < len(PREFACE):
                self._rest = data
                return
            self._greeted = True
            at = len(PREFACE)
        while end - at >= HEAD_BYTES:
            size = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2]
            if size > FRAME_BYTES:
                raise Broken(FRAME_SIZE, "HTTP/2: a frame over the size limit")
            begin = at + HEAD_BYTES
            if begin + size > end:
                break
            stream_id = (
                ((data[at + 5] & 0x7F) << 24)
                | (data[at + 6] << 16)
                | (data[at + 7] << 8)
                | data[at + 8]
            )
            self._on_frame(data[at + 3], data[at + 4], stream_id, data, begin, begin + size)
            at = begin + size
        self._rest = data[at:] if at < end else b""

    def _on_frame(
        self, kind: int, flags: int, stream_id: int, data: bytes, at: int, end: int
    ) -> None:
        if self._block_stream:
            if kind != CONTINUATION or stream_id != self._block_stream:
                raise Broken(PROTOCOL, "HTTP/2: a frame inside a header block")
            self._on_continuation(flags, data[at:end])
        elif kind == HEADERS:
            self._on_headers(flags, stream_id, data, at, end)
        elif kind == DATA:
            self._on_data(flags, stream_id, data, at, end)
        elif not self._settled and kind != SETTINGS:
            raise Broken(PROTOCOL, "HTTP/2: the first frame is not SETTINGS")
        elif kind == WINDOW_UPDATE:
            self._on_window_update(stream_id, data[at:end])
        elif kind == RST_STREAM:
            self._on_reset(stream_id, data[at:end])
        elif kind == SETTINGS:
            self._on_settings(flags, stream_id, data[at:end])
        elif kind == PING:
            self._on_ping(flags, stream_id, data[at:end])
        elif kind == GOAWAY:
            self._on_go_away(stream_id, data[at:end])
        elif kind == PRIORITY:
            self._on_priority(stream_id, data[at:end])
        elif kind in (PUSH_PROMISE, CONTINUATION):
            # Pushing is switched off by our settings; clients never may (section 8.4).
            raise Broken(PROTOCOL, "HTTP/2: a frame that must not come now")
        else:
            self._floods.idle()  # section 5.5: unknown types are ignored

    # Data.

    def _on_data(self, flags: int, stream_id: int, data: bytes, at: int, end: int) -> None:
        counted = end - at
        if flags & PADDED:
            at, end = _unpadded(data, at, end)
        self._receive_window -= counted
        if self._receive_window < 0:
            raise Broken(FLOW_CONTROL, "HTTP/2: data beyond the connection's window")
        stream = self._streams.get(stream_id)
        if stream is None or not stream.peer_open:
            self._give_back(counted)
            self._on_late(stream, stream_id, counted)
            return
        stream.receive_window -= counted
        size = end - at
        last = bool(flags & END_STREAM)
        if stream.receive_window < 0:
            self._give_back(counted)
            self._refuse(stream_id, FLOW_CONTROL, "data beyond the stream's window")
            return
        if not stream.headed:
            self._give_back(counted)
            self._refuse(stream_id, PROTOCOL, "data before the head")
            return
        if stream.expected >= 0:
            stream.expected -= size
            if stream.expected < 0 or (last and stream.expected > 0):
                self._give_back(counted)
                self._refuse(stream_id, PROTOCOL, _OTHER_LENGTH, CONTENT_LENGTH)
                return
        if counted:
            self._events.append(DataCame(stream_id, data[at:end], counted))
        if last:
            self._end_came(stream)
            self._events.append(StreamEnded(stream_id, []))
        elif size == 0:
            self._floods.empty()

    # Header blocks.

    def _on_headers(self, flags: int, stream_id: int, data: bytes, at: int, end: int) -> None:
        if flags & PADDED:
            at, end = _unpadded(data, at, end)
        if flags & HAS_PRIORITY:
            if end - at < 5:
                raise Broken(FRAME_SIZE, "HTTP/2: no room for the priority")
            self._check_priority(stream_id, data[at : at + 4])
            at += 5
        if stream_id == 0:
            raise Broken(PROTOCOL, "HTTP/2: HEADERS on stream 0")
        if not self._settled:
            raise Broken(PROTOCOL, "HTTP/2: the first frame is not SETTINGS")
        if flags & END_HEADERS:
            self._on_block(stream_id, data[at:end], bool(flags & END_STREAM))
            return
        self._block_stream = stream_id
        self._block_end = bool(flags & END_STREAM)
        self._block = [data[at:end]]
        self._block_bytes = end - at

    def _on_continuation(self, flags: int, payload: bytes) -> None:
        self._block.append(payload)
        self._block_bytes += len(payload)
        self._floods.continuation(len(self._block) - 1)
        if self._block_bytes > self._max_header_bytes + FRAME_BYTES:
            raise Broken(CALM, "a header block without end", "http2.continuation_flood")
        if flags & END_HEADERS:
            stream_id, block = self._block_stream, b"".join(self._block)
            self._block_stream = 0
            self._block = []
            self._on_block(stream_id, block, self._block_end)

    def _on_block(self, stream_id: int, block: bytes, last: bool) -> None:
        decoder = self._decoder
        try:
            lines = decoder.decode(block)
        except WireError as error:
            raise Broken(COMPRESSION, error.reason) from None
        too_large = decoder.size > self._max_header_bytes
        if too_large and decoder.size > _BOMB * self._max_header_bytes:
            raise Broken(CALM, "headers far beyond their bound", "http2.header_bomb")
        stream = self._streams.get(stream_id)
        if stream is None:
            if self._client or stream_id <= self._last or not stream_id & 1:
                self._on_late_headers(stream_id)
                return
            self._last = stream_id
            if len(self._streams) >= self._max_streams:
                self._floods.owed()
                if not last:
                    self._floods.we_reset(self._stream_receive_window)
                self._out.append(frames.rst_stream(stream_id, REFUSED))
                self._remember(stream_id, RESET_BY_US)
                return
            stream = StreamState(stream_id, self._stream_send_window, self._stream_receive_window)
            self._streams[stream_id] = stream
            stream.headed = True
        elif not stream.peer_open:
            self._refuse(stream_id, STREAM_CLOSED, "headers after the end")
            return
        elif stream.headed:
            self._on_trailers(stream, lines, last, too_large)
            return
        elif not _interim(lines):
            stream.headed = True
        elif last:
            self._refuse(stream_id, PROTOCOL, "an interim answer that ends the stream")
            return
        if too_large and self._client:
            self._refuse(stream_id, CALM, "headers over the bound", TOO_LARGE)
            return
        if stream.headed and not self._measure(stream, lines, last):
            self._refuse(stream_id, PROTOCOL, "a Content-Length and no body", CONTENT_LENGTH)
            return
        if last:
            self._end_came(stream)
        self._events.append(HeadersCame(stream_id, lines, last, too_large))

    def _measure(self, stream: StreamState, lines: list[Any], last: bool) -> bool:
        """Note how long the body will be; False if it has ended before."""
        if stream.bodyless:
            stream.expected = 0
            return True
        if not stream.measured:
            return True
        for pair in lines:
            line: tuple[bytes, bytes] = pair
            name, value = line
            # One that is no number is refused with the head.
            if name == b"content-length" and value.isdigit() and len(value) < 19:
                stream.expected = int(value)
        if lines and _status(lines) == b"304":
            stream.expected = 0  # RFC 9110 15.4.5: the length that a 200 would have had
        return not last or stream.expected <= 0

    def _on_trailers(
        self, stream: StreamState, lines: list[Any], last: bool, too_large: bool
    ) -> None:
        if not last:
            self._refuse(stream.id, PROTOCOL, "a second head")
        elif too_large:
            self._refuse(stream.id, CALM, "trailers over the bound", TOO_LARGE)
        elif stream.expected > 0:
            self._refuse(stream.id, PROTOCOL, _OTHER_LENGTH, CONTENT_LENGTH)
        else:
            self._end_came(stream)
            self._events.append(StreamEnded(stream.id, lines))

    # What comes late.

    def _on_late(self, stream: StreamState | None, stream_id: int, counted: int) -> None:
        """Data on a stream that the peer may not send on."""
        if stream is None:
            if self._is_idle(stream_id):
                raise Broken(PROTOCOL, "HTTP/2: data on an idle stream")
            how = self._how_closed(stream_id)
            if how == RESET_BY_US:
                self._floods.late(counted)  # section 5.1: it was on its way
                return
            if how == ENDED:
                raise Broken(STREAM_CLOSED, "HTTP/2: data on a closed stream")
        self._refuse(stream_id, STREAM_CLOSED, "data after the end")

    def _on_late_headers(self, stream_id: int) -> None:
        """Headers that open no stream."""
        how = self._how_closed(stream_id)
        if how == RESET_BY_US:
            self._floods.idle()
        elif how == RESET_BY_PEER:
            self._refuse(stream_id, STREAM_CLOSED, "headers after the end")
        elif how == ENDED:
            raise Broken(STREAM_CLOSED, "HTTP/2: headers on a closed stream")
        else:
            raise Broken(PROTOCOL, "HTTP/2: headers on a stream that can't be opened")


def _unpadded(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Where a padded payload begins and ends (section 6.1)."""
    if at >= end:
        raise Broken(FRAME_SIZE, "HTTP/2: no room for the padding's length", _PADDING)
    padding = data[at]
    if padding >= end - at:
        raise Broken(PROTOCOL, "HTTP/2: padding longer than its frame", _PADDING)
    return at + 1, end - padding


def _status(lines: list[Any]) -> bytes:
    """The first line's value, if that is an answer's status."""
    line: tuple[bytes, bytes] = lines[0]
    name, value = line
    return value if name == b":status" else b""


def _interim(lines: list[Any]) -> bool:
    if not lines:
        return False
    status = _status(lines)
    return len(status) == 3 and status[:1] == b"1"
