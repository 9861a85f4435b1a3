"""The reference HTTP/2 codec: the `h2` library behind our interface."""

from __future__ import annotations

import base64
import contextlib

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hyperframe.exceptions
import hyperframe.frame

from meshproxy.wire.errors import WireError
from meshproxy.wire.h2 import (
    STREAM_WINDOWS,
    UNLIMITED,
    UNTIL_TOLD,
    Code,
    Codec,
    DataCame,
    Event,
    GoAwayCame,
    HeadersCame,
    SettingsCame,
    StreamEnded,
    StreamReset,
    WindowOpened,
)
from meshproxy.wire.heads import Headers


class _Connection(h2.connection.H2Connection):
    """The library ends a connection with the peer's GOAWAY and drops what was to be sent; RFC 9113
    6.8 lets the streams up to its last one finish."""

    def _receive_goaway_frame(
        self, frame: hyperframe.frame.GoAwayFrame
    ) -> tuple[list[hyperframe.frame.Frame], list[h2.events.Event]]:
        event = h2.events.ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        return [], [event]

    def _receive_headers_frame(
        self, frame: hyperframe.frame.HeadersFrame
    ) -> tuple[list[hyperframe.frame.Frame], list[h2.events.Event]]:
        """RFC 9110 9.3.6: what an answer to CONNECT says of its length means nothing."""
        found = super()._receive_headers_frame(frame)
        stream = self.streams.get(frame.stream_id)
        if stream is not None and stream.request_method == b"CONNECT":
            stream._expected_content_length = None
        return found


class ReferenceCodec(Codec):
    """See `meshproxy.wire.h2.Codec`."""

    def __init__(self, client: bool, max_streams: int, window: int, max_header_bytes: int) -> None:
        self._conn = _Connection(
            h2.config.H2Configuration(client_side=client, header_encoding=None)
        )
        codes = h2.settings.SettingCodes
        values: dict[h2.settings.SettingCodes, int] = {
            codes.MAX_CONCURRENT_STREAMS: max_streams,
            codes.INITIAL_WINDOW_SIZE: window,
            codes.MAX_HEADER_LIST_SIZE: max_header_bytes,
        }
        if client:
            values[codes.ENABLE_PUSH] = 0
        else:
            values[codes.ENABLE_CONNECT_PROTOCOL] = 1
        # Not by `update`: that counts only once the peer has acknowledged it, and is never sent.
        self._conn.local_settings = h2.settings.Settings(client, values)
        self._conn.decoder.max_header_list_size = max_header_bytes
        self._connection_window = min(window * STREAM_WINDOWS, 2**31 - 1)
        self._farewell = b""
        self._broken = False  # the library then takes nothing more to send
        self._told: set[int] = set()  # streams whose end was part of an event already
        self._started = self._settled = False  # the peer's settings have come

    def upgraded(self, settings: bytes) -> None:
        try:
            self._conn.initiate_upgrade_connection(base64.urlsafe_b64encode(settings))
        except (h2.exceptions.ProtocolError, hyperframe.exceptions.HyperframeError) as error:
            raise WireError(f"HTTP/2: {type(error).__name__}") from None
        self._started = True

    def start(self) -> None:
        if not self._started:
            self._conn.initiate_connection()
        if self._connection_window > 65_535:
            self._conn.increment_flow_control_window(self._connection_window - 65_535)

    def receive(self, data: bytes) -> list[Event]:
        try:
            events = self._conn.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self._broken = True
            raise WireError(
                f"HTTP/2: {type(error).__name__}", details="http2.codec_error"
            ) from None
        return [event for raw in events for event in self._translate(raw)]

    def _translate(self, event: h2.events.Event) -> list[Event]:
        match event:
            case (
                h2.events.RequestReceived()
                | h2.events.ResponseReceived()
                | h2.events.InformationalResponseReceived()
            ):
                end = getattr(event, "stream_ended", None) is not None
                if end:
                    self._told.add(event.stream_id)
                return [HeadersCame(event.stream_id, _pairs(event.headers), end)]
            case h2.events.DataReceived():
                return [DataCame(event.stream_id, event.data, event.flow_controlled_length)]
            case h2.events.TrailersReceived():
                self._told.add(event.stream_id)
                return [StreamEnded(event.stream_id, _pairs(event.headers))]
            case h2.events.StreamEnded():
                if event.stream_id not in self._told:
                    return [StreamEnded(event.stream_id, [])]
                self._told.discard(event.stream_id)
                return []
            case h2.events.StreamReset():
                return [StreamReset(event.stream_id, int(event.error_code or 0))]
            case h2.events.WindowUpdated():
                return [WindowOpened(event.stream_id)]
            case h2.events.RemoteSettingsChanged():
                self._settled = True
                return [SettingsCame(), WindowOpened(0)]
            case h2.events.ConnectionTerminated():
                return [GoAwayCame(event.last_stream_id or 0, int(event.error_code or 0))]
            case _:
                return []

    def take(self) -> bytes:
        farewell, self._farewell = self._farewell, b""
        return self._conn.data_to_send() + farewell

    def _perhaps(self) -> contextlib.AbstractContextManager[None]:
        """The peer's reset may have been read in one go with what is answered now, and its event
        comes next; or the connection is broken, and about to close."""
        if self._broken:
            return contextlib.suppress(h2.exceptions.ProtocolError)
        return contextlib.suppress(h2.exceptions.StreamClosedError)

    def new_stream(self) -> int:
        return self._conn.get_next_available_stream_id()

    def send_headers(self, stream_id: int, headers: Headers, end: bool) -> None:
        with self._perhaps():
            self._conn.send_headers(stream_id, headers, end_stream=end)

    def window(self, stream_id: int) -> int:
        return self._conn.local_flow_control_window(stream_id)

    def send_data(self, stream_id: int, data: bytes, end: bool) -> None:
        size = self._conn.max_outbound_frame_size
        with self._perhaps():
            while len(data) > size:
                self._conn.send_data(stream_id, data[:size])
                data = data[size:]
            self._conn.send_data(stream_id, data, end_stream=end)

    def send_trailers(self, stream_id: int, trailers: Headers) -> None:
        with self._perhaps():
            self._conn.send_headers(stream_id, trailers, end_stream=True)

    def consumed(self, stream_id: int, counted: int) -> None:
        with self._perhaps():  # the connection's window is opened all the same
            self._conn.acknowledge_received_data(counted, stream_id)

    def reset(self, stream_id: int, code: Code) -> None:
        with contextlib.suppress(h2.exceptions.ProtocolError):  # it has ended meanwhile
            self._conn.reset_stream(stream_id, code.value)

    def ping(self) -> None:
        with self._perhaps():
            self._conn.ping(bytes(8))

    def go_away(self, last_id: int) -> None:
        # The library's own way ends the connection at once; streams in flight are to go on.
        frame = hyperframe.frame.GoAwayFrame(0, last_stream_id=last_id, error_code=0)
        self._farewell += frame.serialize()

    def last_stream(self) -> int:
        return self._conn.highest_inbound_stream_id

    def max_streams(self) -> int:
        if not self._settled:
            return UNTIL_TOLD
        return min(self._conn.remote_settings.max_concurrent_streams, UNLIMITED)

    def upgrades(self) -> bool | None:
        return bool(self._conn.remote_settings.enable_connect_protocol) if self._settled else None

    def relax(self) -> None:
        """The library counts nothing."""


def _pairs(headers: object) -> Headers:
    return [(bytes(name), bytes(value)) for name, value in headers]  # type: ignore[attr-defined]
