"""What both ends of an HTTP/2 connection have in common: frames on a transport, and windows.

A stream that may not send now keeps its data in a queue; its owner is told to stop, and to go on
once the queue has emptied. Windows towards the peer are opened as data is passed on, so that a
slow reader on one side slows the sender on the other, stream by stream.
"""

from __future__ import annotations

import asyncio
from collections import deque

from meshproxy.aio.outbox import BULK, Outbox, Writer
from meshproxy.aio.ping import PingKeepalive
from meshproxy.aio.timers import Timers
from meshproxy.base.addr import Address
from meshproxy.model.settings import Settings
from meshproxy.record import NO_ADDRESS, Secured
from meshproxy.wire.errors import WireError
from meshproxy.wire.h2 import (
    Code,
    Codec,
    DataCame,
    GoAwayCame,
    HeadersCame,
    SettingsCame,
    StreamEnded,
    StreamReset,
    WindowOpened,
)
from meshproxy.wire.heads import Headers


class Stream:
    """One stream's sending queue and what it owes the peer's window.

    Subclasses hear of the peer through ``on_*`` and send through the rest.
    """

    def __init__(self, connection: Http2Connection, stream_id: int) -> None:
        self.connection = connection
        self.id = stream_id
        self.open = True
        self._queue: deque[bytes] = deque()  # a window's worth, if need be a byte at a time
        self._queued_end: Headers | None = None
        self._blocked = False
        self._paused = False
        self._owed = 0  # bytes that were passed on while paused
        self.ended_by_peer = False

    # The connection calls these.

    def on_headers(self, headers: Headers, end: bool) -> None:
        raise NotImplementedError

    def on_data(self, data: bytes) -> None:
        raise NotImplementedError

    def on_end(self, trailers: Headers) -> None:
        raise NotImplementedError

    def on_reset(self, code: int, reason: str) -> None:
        """The stream is gone: reset by the peer, or with its connection; or by our codec, if there
        is a ``reason``: the rule that the peer broke."""
        raise NotImplementedError

    def on_writable(self, writable: bool) -> None:
        raise NotImplementedError

    # Sending.

    def write(self, data: bytes) -> None:
        if not self.open or not data:
            return
        connection = self.connection
        if not self._queue and not connection.stopped:
            size = len(data)
            if size <= connection.codec.window(self.id):
                connection.codec.send_data(self.id, data, False)
                connection.sent(size)
                connection.flush()
                if self._blocked or connection.stopped:
                    self.tell()
                return
        self._queue.append(data)
        self.pump()

    def write_end(self, trailers: Headers) -> None:
        if self.open:
            self._queued_end = trailers
            self.pump()

    def pump(self) -> None:
        """Send what the windows and the transport allow."""
        codec = self.connection.codec
        while self._queue and not self.connection.stopped:
            room = codec.window(self.id)
            if room <= 0:
                break
            data = self._queue.popleft()
            if len(data) > room:
                self._queue.appendleft(data[room:])
                data = data[:room]
            last = not self._queue and self._queued_end == []
            codec.send_data(self.id, data, last)
            self.connection.sent(len(data))
            if last:
                self._end_sent()
        if not self._queue and self._queued_end is not None:
            if self._queued_end:
                codec.send_trailers(self.id, self._queued_end)
            else:
                codec.send_data(self.id, b"", True)
            self._end_sent()
        self.connection.flush()
        self.tell()

    def _end_sent(self) -> None:
        self._queued_end = None
        self.on_end_sent()

    def on_end_sent(self) -> None:
        """Our half has ended."""

    def tell(self) -> None:
        """Say whether more is wanted now, if that has changed."""
        blocked = bool(self._queue) or self.connection.stopped
        if blocked != self._blocked:
            self._blocked = blocked
            self.on_writable(not blocked)

    def cut(self, code: Code) -> None:
        """Reset the stream; the peer sees ``code``."""
        if self.open:
            self.connection.codec.reset(self.id, code)
            self.connection.forget(self)
            self.connection.flush()

    # Receiving.

    def received(self, data: bytes, counted: int) -> None:
        if self._paused:
            self._owed += counted
        else:
            self.connection.codec.consumed(self.id, counted)
        self.on_data(data)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._owed:
            owed, self._owed = self._owed, 0
            self.connection.codec.consumed(self.id, owed)
            self.connection.flush()


class Http2Connection(asyncio.Protocol, Writer):
    """Frames on a transport. Subclasses make streams for requests, or requests on streams."""

    def __init__(self, codec: Codec, settings: Settings, outbox: Outbox, timers: Timers) -> None:
        self.codec = codec
        self._outbox = outbox
        self._listed = False  # with the outbox
        self._unwritten = 0  # bytes of data since the last write
        self.streams: dict[int, Stream] = {}
        self.local = NO_ADDRESS
        self.secured: Secured | None = None  # of the other end
        self.stopped = False  # the transport's buffer is full
        self.closed = False
        self.lost: Exception | None = None
        self.heard = False  # bytes have come since the keepalive last looked
        self.silent = False  # the peer did not answer a PING
        self._timers = timers
        self._settings = settings
        self._keepalive: PingKeepalive | None = None
        self._transport: asyncio.Transport
        self._broken = False

    # The transport calls these.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        settings = self._settings
        transport.set_write_buffer_limits(settings.buffer_bytes)
        self.secured = transport.get_extra_info("secured")
        name = transport.get_extra_info("sockname")
        if name:
            self.local = Address(name[0], name[1])
        self.codec.start()
        self.flush()
        if settings.h2_ping_interval:
            self._keepalive = PingKeepalive(
                self._timers, settings.h2_ping_interval, settings.h2_ping_timeout, self
            )

    def data_received(self, data: bytes) -> None:
        self.heard = True
        try:
            for event in self.codec.receive(data):
                self._on_event(event)
        except WireError as error:
            self.on_broken(error)
        self.flush()
        if self._broken:
            self.end_broken()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.lost = exc
        if self._keepalive is not None:
            self._keepalive.stop()
        self.end_streams()

    def pause_writing(self) -> None:
        self.stopped = True
        for stream in list(self.streams.values()):
            stream.tell()

    def resume_writing(self) -> None:
        self.stopped = False
        for stream in list(self.streams.values()):
            stream.pump()

    @property
    def transport(self) -> asyncio.Transport:
        return self._transport

    def relax(self) -> None:
        """Called about once a second. A peer that does not read what it asks for is not let off."""
        if not self.stopped:
            self.codec.relax()

    # The keepalive calls these.

    def ping(self) -> None:
        self.codec.ping()
        self.flush()

    def on_silence(self, reason: str) -> None:
        """Give the peer up: what is written to it would wait for ever, so nothing is."""
        if not self.closed:
            self.silent = True
            self._transport.abort()
            self.end_silent(reason)

    # Subclasses.

    def end_silent(self, reason: str) -> None:
        """The peer answers no PING, and the connection has been cut: fail what waits for it."""

    def on_new_stream(self, event: HeadersCame) -> None:
        """Headers on a stream that we did not open."""

    def on_stream_broken(self, details: str) -> None:
        """The peer broke the rules on one stream, which our codec has reset."""

    def on_go_away(self, event: GoAwayCame) -> None:
        """The peer wants no more streams."""

    def on_settings(self) -> None:
        """The peer has said what it takes."""

    def on_broken(self, error: WireError) -> None:
        """The peer broke the protocol; a GOAWAY is on its way and the connection will close."""
        self._broken = True

    def end_broken(self) -> None:
        """The GOAWAY has been flushed: close."""
        self.close()

    # Streams call these.

    def sent(self, size: int) -> None:
        """Data was framed. A turn can bring megabytes, so that much of it is written at once."""
        self._unwritten += size
        if self._unwritten > BULK:
            self.write_out()

    def flush(self) -> None:
        """What was sent goes out at the end of the loop's turn, all streams together."""
        if not self._listed:
            self._listed = True
            self._outbox.add(self)

    def write_out(self) -> None:
        self._listed = False
        self._unwritten = 0
        if not self.closed and not self._transport.is_closing():
            data = self.codec.take()
            if data:
                self._transport.write(data)

    def end_streams(self) -> None:
        """They end with their connection."""
        for stream in list(self.streams.values()):
            self.forget(stream)
            stream.on_reset(Code.CANCEL.value, "")

    def forget(self, stream: Stream) -> None:
        stream.open = False
        if stream.id in self.streams:
            del self.streams[stream.id]
        # What it held back is thrown away, and the connection's window is the other streams', too.
        stream.resume()

    def _on_event(self, event: object) -> None:
        if isinstance(event, DataCame):
            stream = self.streams.get(event.stream_id)
            if stream is None:
                self.codec.consumed(event.stream_id, event.counted)
            else:
                stream.received(event.data, event.counted)
        elif isinstance(event, HeadersCame):
            stream = self.streams.get(event.stream_id)
            if stream is None:
                self.on_new_stream(event)
            else:
                stream.ended_by_peer = event.end
                stream.on_headers(event.headers, event.end)
        elif isinstance(event, StreamEnded):
            stream = self.streams.get(event.stream_id)
            if stream is not None:
                stream.ended_by_peer = True
                stream.on_end(event.trailers)
        elif isinstance(event, StreamReset):
            if event.reason:
                self.on_stream_broken(event.details)
            stream = self.streams.get(event.stream_id)
            if stream is not None:
                self.forget(stream)
                stream.on_reset(event.code, event.reason)
        elif isinstance(event, WindowOpened):
            self._on_window(event.stream_id)
        elif isinstance(event, SettingsCame):
            self.on_settings()
        elif isinstance(event, GoAwayCame):
            self.on_go_away(event)

    def _on_window(self, stream_id: int) -> None:
        if stream_id:
            stream = self.streams.get(stream_id)
            if stream is not None:
                stream.pump()
            return
        for stream in list(self.streams.values()):
            stream.pump()

    def close(self) -> None:
        self.write_out()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
