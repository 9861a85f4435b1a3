"""A client connection that speaks HTTP/1.1: one request at a time, kept alive in between."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from meshproxy.aio.protocol import Piecewise
from meshproxy.aio.reset import reset
from meshproxy.base.addr import Address
from meshproxy.base.errors import Kind, ProxyError, Retry
from meshproxy.cluster.endpoints import EndpointState
from meshproxy.record import NO_ADDRESS, Record, Secured
from meshproxy.tls.errors import TlsFailure
from meshproxy.upstream.stream import AnswerSink, UpstreamStream
from meshproxy.wire import h1_write
from meshproxy.wire.errors import TooLarge, WireError
from meshproxy.wire.h1 import Reader
from meshproxy.wire.heads import CHUNKED, HTTP2, TUNNEL, Headers, RequestHead, ResponseHead
from meshproxy.wire.upgrade import ACCEPT, KEY, WEBSOCKET, accept_of, key_of

if TYPE_CHECKING:
    from meshproxy.upstream.upstreams import Upstreams


class Http1Client(Piecewise, UpstreamStream):
    """The stream of the request it carries; a `Pooled` connection between requests."""

    def __init__(self, upstreams: Upstreams, endpoint: EndpointState, reader: Reader) -> None:
        super().__init__(upstreams.outbox)
        # Connection.
        self._upstreams = upstreams
        self._endpoint = endpoint
        self._reader = reader
        self.local = NO_ADDRESS
        self.secured: Secured | None = None
        self.reused = False
        self.idle_since = 0.0
        self.usable = True  # a request may still be sent on it, as far as we know
        # Request.
        self._sink: AnswerSink | None = None
        self._method = b""
        self._upgrade = b""
        self._accept = b""  # how our own WebSocket key is to be answered
        self._from_http2 = False
        self._chunked = False
        self._sent = True  # the request's last byte has been written
        self._answered = False  # the answer's head has come
        self._heard = False  # any byte has come back
        self._keep = True
        self._tunnel = False

    # The transport calls these.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.set_write_buffer_limits(self._upstreams.settings.buffer_bytes)
        self.secured = transport.get_extra_info("secured")
        name = transport.get_extra_info("sockname")
        if name:
            self.local = Address(name[0], name[1])

    def data_received(self, data: bytes) -> None:
        sink = self._sink
        if sink is None:
            self.close()  # an answer to nothing
            return
        self._heard = True
        try:
            if self._answered:
                self._reader.feed(data)
                self._read_body()
            elif self._read_heads(data):
                self._read_body()
        except WireError as error:
            self._upstreams.rules_broken(self._endpoint.cluster, f"http1.{error.details}")
            kind = (
                Kind.UPSTREAM_HEADERS_TOO_LARGE
                if isinstance(error, TooLarge)
                else Kind.UPSTREAM_PROTOCOL
            )
            self._fail(ProxyError(kind, error.reason))
            return
        if self._sink is sink:
            sink.on_answer_flush()

    def eof_received(self) -> bool:
        sink = self._sink
        if sink is None:
            self.close()
            return False
        try:
            self._reader.eof()
        except WireError:
            self._fail(self._lost())
            return False
        if self._answered and self._reader.ended:
            self._finish()
            # In a tunnel our side may go on until it has ended too.
            return self._tunnel and not self._sent
        self._fail(self._lost())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._endpoint.pool.open -= 1
        self._endpoint.pool.forget(self)
        if self._sink is not None:
            self._fail(self._lost(exc.reason if isinstance(exc, TlsFailure) else ""))

    def pause_writing(self) -> None:
        if self._sink is not None:
            self._sink.on_upstream_writable(False)

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.on_upstream_writable(True)

    # The exchange calls these.

    def describe(self, record: Record) -> None:
        record.reused = self.reused
        record.upstream_local = self.local
        record.upstream_secured = self.secured

    def send_request(self, head: RequestHead, headers: Headers, sink: AnswerSink) -> None:
        self._sink = sink
        self._out = []
        self._method = head.method
        self._upgrade = head.upgrade
        self._from_http2 = head.version == HTTP2
        self._accept = b""
        self._answered = self._heard = self._tunnel = False
        self._keep = True
        self._sent = head.length == 0 and not head.upgrade
        self._chunked = head.length == CHUNKED
        if b"host" not in head.fields:
            headers = [(b"host", head.authority), *headers]
        if self._chunked:
            headers.append(h1_write.CHUNKED_CODING)
        if head.upgrade and head.upgrade != b"CONNECT":
            headers.append((b"connection", b"upgrade"))
            headers.append((b"upgrade", head.fields[b"upgrade"]))
            if head.upgrade == WEBSOCKET and self._from_http2 and KEY not in head.fields:
                # RFC 8441 section 5.1: over HTTP/2 there is none, a server of HTTP/1.1 wants one.
                key = key_of(os.urandom(16))
                headers.append((KEY, key))
                self._accept = accept_of(key)
        self._out.append(h1_write.request_head(head.method, head.path, headers))

    def send_data(self, data: bytes) -> None:
        if self._chunked:
            self._out += h1_write.chunk(data) if data else ()  # an empty chunk is the last one
        else:
            self._out.append(data)

    def send_end(self, trailers: Headers) -> None:
        self._sent = True
        if self._tunnel:
            self._end_tunnel()
        elif self._chunked:
            self._out.append(h1_write.last_chunk(trailers))

    def _end_tunnel(self) -> None:
        self.flush()
        self.write_out()
        if self._transport.is_closing():
            return
        self._transport.write_eof()
        if self._reader.ended:
            self._sink = None
            self._transport.close()

    def pause(self) -> None:
        if self.usable:
            self._pause_reading()

    def resume(self) -> None:
        if self.usable:
            self._resume_reading()

    def cancel(self) -> None:
        self._sink = None
        self.usable = False
        if self._tunnel:
            reset(self._transport)  # nothing else tells the app that there was to be more
        else:
            self._transport.abort()

    # The pool calls this.

    def close(self) -> None:
        self.usable = False
        self._transport.close()

    def fileno(self) -> int:
        """The socket's descriptor; -1 without one."""
        sock = self._transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    # Inside.

    def _read_heads(self, data: bytes) -> bool:
        """Read interim answers and the answer's head; whether the latter has come."""
        while True:
            head = self._reader.response(self._method, self._upgrade, data)
            sink = self._sink
            if head is None or sink is None:
                return False
            if head.status >= 200 or head.status == 101:
                break
            sink.on_informational(head)
            data = b""
        if self._upgrade:
            self._check_upgrade(head)
        self._answered = True
        self._keep = not head.close
        self._tunnel = head.length == TUNNEL
        if self._tunnel:
            self._keep = False
        elif self._upgrade:
            self._sent = True  # refused: what the client meant for the tunnel is not sent
        sink.on_answer(head)
        return self._sink is not None

    def _check_upgrade(self, answer: ResponseHead) -> None:
        """Raises ``WireError`` for an answer that can't be told a caller over HTTP/2."""
        if answer.length == TUNNEL:
            if self._accept and answer.fields.get(ACCEPT) != self._accept:
                raise WireError("the WebSocket handshake was not answered as it must be")
        elif self._from_http2 and 200 <= answer.status < 300:
            # There every 2xx means that there is a tunnel (RFC 8441 section 5).
            raise WireError(f"{answer.status} and no other protocol, which was asked for")

    def _read_body(self) -> None:
        reader, sink = self._reader, self._sink
        while not reader.ended:
            data = reader.body()
            if data:
                assert sink is not None
                sink.on_answer_data(data)
                if self._sink is not sink:
                    return  # cancelled meanwhile
            elif not reader.ended:
                return
        self._finish()

    def _finish(self) -> None:
        """The answer is complete: back to the pool first, so that who is told may use it again."""
        sink, self._sink = self._sink, None
        trailers = self._reader.trailers
        if self._tunnel:
            # Half of the tunnel has ended; the other half may still send.
            self._sink = None if self._sent else sink
            if self._sent:
                self.close()
        elif self._keep and self._sent and not self._reader.buffer and self.usable:
            self.reused = True
            self._resume_reading()  # a slow client may have stopped it
            self._upstreams.put_back(self._endpoint, self)
        else:
            self.close()
        assert sink is not None
        sink.on_answer_end(trailers)

    def _lost(self, tls: str = "") -> ProxyError:
        """The error of a connection that has gone; ``tls``: what its TLS says of that."""
        if tls:
            return ProxyError(Kind.UPSTREAM_CLOSED, f"TLS: {tls}")
        if self._answered:
            return ProxyError(
                Kind.UPSTREAM_CLOSED, "the upstream closed in the middle of its answer"
            )
        # Nothing came back on a connection that had idled: most likely it was closed while idle.
        again = Retry.IF_SAFE if self.reused and not self._heard else Retry.NEVER
        return ProxyError(
            Kind.UPSTREAM_CLOSED, "the upstream closed without an answer", retry=again
        )

    def _fail(self, error: ProxyError) -> None:
        sink, self._sink = self._sink, None
        self.usable = False
        self._transport.abort()
        if sink is not None:
            sink.on_upstream_error(error)
