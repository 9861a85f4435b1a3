"""The upstream half of an opaque connection."""

from __future__ import annotations

import asyncio
from typing import Protocol

from meshproxy.base.addr import Address
from meshproxy.cluster.endpoints import EndpointState
from meshproxy.record import NO_ADDRESS, Secured


class TcpSink(Protocol):
    """Who is told what the upstream does."""

    def on_upstream_data(self, data: bytes) -> None: ...

    def on_upstream_eof(self) -> None: ...

    def on_upstream_lost(self, exc: Exception | None) -> None: ...

    def on_upstream_writable(self, writable: bool) -> None: ...


class TcpClient(asyncio.Protocol):
    """Passes every callback on; what comes before somebody listens is kept (one read at most)."""

    def __init__(self, endpoint: EndpointState, buffer_bytes: int) -> None:
        self._endpoint = endpoint
        self._buffer_bytes = buffer_bytes
        self._sink: TcpSink | None = None
        self._early = b""
        self._ended = False
        self._full = False  # the transport's buffer is
        self.transport: asyncio.Transport
        self.local = NO_ADDRESS
        self.secured: Secured | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.set_write_buffer_limits(self._buffer_bytes)
        self.secured = transport.get_extra_info("secured")
        name = transport.get_extra_info("sockname")
        if name:
            self.local = Address(name[0], name[1])

    def listen(self, sink: TcpSink) -> None:
        """From now on tell ``sink``, beginning with what has come already."""
        self._sink = sink
        if self._full:
            sink.on_upstream_writable(False)
        if self._early:
            early, self._early = self._early, b""
            self.transport.resume_reading()
            sink.on_upstream_data(early)
        if self._ended:
            sink.on_upstream_eof()
        if self.closed:
            sink.on_upstream_lost(None)

    def data_received(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink.on_upstream_data(data)
        else:
            self._early += data
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        if self._sink is not None:
            self._sink.on_upstream_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._endpoint.pool.open -= 1
        if self._sink is not None:
            self._sink.on_upstream_lost(exc)

    def pause_writing(self) -> None:
        self._full = True
        if self._sink is not None:
            self._sink.on_upstream_writable(False)

    def resume_writing(self) -> None:
        self._full = False
        if self._sink is not None:
            self._sink.on_upstream_writable(True)
