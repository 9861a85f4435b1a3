"""What an HTTP/2 peer says about the connection and its streams, messages aside (RFC 9113).

`Broken` means that the connection can't go on; `_refuse` that one stream can't.
"""

from __future__ import annotations

from typing import Final

from meshproxy.wire import h2_frames as frames
from meshproxy.wire.errors import Broken, details_of
from meshproxy.wire.h2 import (
    UNLIMITED,
    Event,
    GoAwayCame,
    SettingsCame,
    StreamReset,
    WindowOpened,
)
from meshproxy.wire.h2_floods import Bounds
from meshproxy.wire.h2_frames import ACK, FRAME_BYTES, MAX_WINDOW, PING
from meshproxy.wire.h2_sender import (
    ENDED,
    RESET_BY_PEER,
    RESET_BY_US,
    Sender,
    StreamState,
)

PROTOCOL: Final = 1
FLOW_CONTROL: Final = 3
STREAM_CLOSED: Final = 5
FRAME_SIZE: Final = 6
REFUSED: Final = 7
COMPRESSION: Final = 9
CALM: Final = 11

_WINDOWS: Final = details_of(FLOW_CONTROL)
_STREAMS_A_SETTING: Final = 16  # whose windows cost about as much to change as a frame to answer


class Control(Sender):
    def __init__(self, client: bool, window: int, bounds: Bounds) -> None:
        super().__init__(client, window, bounds)
        self._events: list[Event] = []
        self._settled = False  # the peer's first SETTINGS have come
        self._peer_upgrades = False  # it takes extended CONNECT

    def upgrades(self) -> bool | None:
        return self._peer_upgrades if self._settled else None

    def _on_window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Broken(FRAME_SIZE, "HTTP/2: a WINDOW_UPDATE of another size")
        self._floods.window()
        self._floods.check_windows()
        by = int.from_bytes(payload, "big") & MAX_WINDOW
        if stream_id == 0:
            if by == 0:
                raise Broken(PROTOCOL, "HTTP/2: a WINDOW_UPDATE by nothing", _WINDOWS)
            self._send_window += by
            if self._send_window > MAX_WINDOW:
                raise Broken(FLOW_CONTROL, "HTTP/2: a window over 2^31-1")
            self._events.append(WindowOpened(0))
            return
        stream = self._streams.get(stream_id)
        if stream is None:
            if self._is_idle(stream_id):
                raise Broken(PROTOCOL, "HTTP/2: a WINDOW_UPDATE on an idle stream")
        elif by == 0:
            self._refuse(stream_id, PROTOCOL, "a WINDOW_UPDATE by nothing", _WINDOWS)
        elif stream.send_window + by > MAX_WINDOW:
            self._refuse(stream_id, FLOW_CONTROL, "a window over 2^31-1")
        else:
            stream.send_window += by
            if stream.we_open:
                self._events.append(WindowOpened(stream_id))

    def _on_reset(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Broken(FRAME_SIZE, "HTTP/2: a RST_STREAM of another size")
        stream = self._streams.get(stream_id)
        if stream is None:
            if self._is_idle(stream_id):
                raise Broken(PROTOCOL, "HTTP/2: a RST_STREAM on an idle stream")
            self._floods.idle()
            if self._how_closed(stream_id) == RESET_BY_US:
                self._remember(stream_id, RESET_BY_PEER)  # nothing of it is on its way any more
            return
        if not self._client:
            self._floods.reset()
        self._close(stream, RESET_BY_PEER)
        self._events.append(StreamReset(stream_id, int.from_bytes(payload, "big")))

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise Broken(PROTOCOL, "HTTP/2: SETTINGS on a stream")
        if flags & ACK:
            if payload:
                raise Broken(FRAME_SIZE, "HTTP/2: an acknowledgement that holds something")
            if not self._settled:
                raise Broken(PROTOCOL, "HTTP/2: the first frame is not SETTINGS")
            self._floods.control(1)
            self._on_acknowledged()
            return
        if len(payload) % 6:
            raise Broken(FRAME_SIZE, "HTTP/2: SETTINGS of another size")
        self._floods.control(1 + len(self._streams) // _STREAMS_A_SETTING)
        self._floods.check_windows()
        if not self._settled:
            self._settled = True
            self._peer_streams = UNLIMITED
        self._take_settings(payload)
        self._events.append(SettingsCame())
        self._out.append(frames.SETTINGS_ACK)

    def _take_settings(self, payload: bytes) -> None:
        window = self._stream_send_window
        for at in range(0, len(payload), 6):
            key = int.from_bytes(payload[at : at + 2], "big")
            value = int.from_bytes(payload[at + 2 : at + 6], "big")
            if key == frames.INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW:
                    raise Broken(FLOW_CONTROL, "HTTP/2: a window over 2^31-1")
                window = value
            else:
                self._on_setting(key, value)
        if window != self._stream_send_window:
            self._change_windows(window - self._stream_send_window)

    def _on_setting(self, key: int, value: int) -> None:
        if key == frames.HEADER_TABLE_SIZE:
            self._encoder.resize(value)
        elif key == frames.ENABLE_PUSH:
            # Section 6.5.2: a client takes any value but 0 from a server for an error.
            if value > (0 if self._client else 1):
                raise Broken(PROTOCOL, "HTTP/2: a wrong ENABLE_PUSH")
        elif key == frames.MAX_CONCURRENT_STREAMS:
            self._peer_streams = value
        elif key == frames.MAX_FRAME_SIZE:
            if not FRAME_BYTES <= value < 1 << 24:
                raise Broken(PROTOCOL, "HTTP/2: a wrong MAX_FRAME_SIZE")
            self._peer_frame = value
        elif key == frames.ENABLE_CONNECT_PROTOCOL:
            if value > 1:  # RFC 8441 section 3
                raise Broken(PROTOCOL, "HTTP/2: a wrong ENABLE_CONNECT_PROTOCOL")
            self._peer_upgrades = value == 1

    def _change_windows(self, by: int) -> None:
        """Of the streams that are open, too (section 6.9.2); some may end up below nothing."""
        self._stream_send_window += by
        for stream in self._streams.values():
            stream.send_window += by
            if stream.send_window > MAX_WINDOW:
                raise Broken(FLOW_CONTROL, "HTTP/2: a window over 2^31-1")
        if by > 0:
            self._events.append(WindowOpened(0))

    def _on_acknowledged(self) -> None:
        """The peer knows our window now, and counts it for streams that are open, too."""
        by = self._window - self._stream_receive_window
        self._stream_receive_window = self._window
        if by:
            for stream in self._streams.values():
                stream.receive_window += by

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise Broken(PROTOCOL, "HTTP/2: PING on a stream")
        if len(payload) != 8:
            raise Broken(FRAME_SIZE, "HTTP/2: a PING of another size")
        self._floods.control(1)
        if not flags & ACK:
            self._out.append(frames.head(8, PING, ACK, 0) + payload)

    def _on_go_away(self, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise Broken(PROTOCOL, "HTTP/2: GOAWAY on a stream")
        if len(payload) < 8:
            raise Broken(FRAME_SIZE, "HTTP/2: a GOAWAY of another size")
        self._floods.idle()
        last = int.from_bytes(payload[:4], "big") & MAX_WINDOW
        self._events.append(GoAwayCame(last, int.from_bytes(payload[4:8], "big")))

    def _on_priority(self, stream_id: int, payload: bytes) -> None:
        if stream_id == 0:
            raise Broken(PROTOCOL, "HTTP/2: PRIORITY on stream 0")
        if len(payload) != 5:
            raise Broken(FRAME_SIZE, "HTTP/2: a PRIORITY of another size")
        self._check_priority(stream_id, payload[:4])
        self._floods.idle()

    def _check_priority(self, stream_id: int, depends: bytes) -> None:
        """Priorities are not acted on (section 5.3.2), but one that makes no sense is an error
        (RFC 7540 5.3.1)."""
        if int.from_bytes(depends, "big") & MAX_WINDOW == stream_id:
            raise Broken(PROTOCOL, "HTTP/2: a stream that depends on itself")

    def _end_came(self, stream: StreamState) -> None:
        stream.peer_open = False
        if not stream.we_open:
            self._close(stream, ENDED)

    def _refuse(self, stream_id: int, code: int, reason: str, details: str = "") -> None:
        """A stream error (section 5.4.2)."""
        self._floods.owed()
        self._out.append(frames.rst_stream(stream_id, code))
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._close(stream, RESET_BY_US)
            self._events.append(StreamReset(stream_id, code, reason, details or details_of(code)))

    def _is_idle(self, stream_id: int) -> bool:
        """Whether nobody has opened it yet (section 5.1.1); stream 0 never is."""
        if stream_id == 0:
            return True
        ours = bool(stream_id & 1) == self._client
        return stream_id >= self._next if ours else stream_id > self._last
