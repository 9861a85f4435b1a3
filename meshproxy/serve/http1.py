"""A downstream connection that speaks HTTP/1: one request after the other.

The connection is the `DownstreamStream` of the request being answered. What was read beyond that
request stays unread bytes in the reader until the answer is complete (pipelining), and when that
is too much, reading stops.
"""

from __future__ import annotations

import asyncio

from meshproxy.aio.protocol import Piecewise
from meshproxy.aio.reset import reset
from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.record import Record
from meshproxy.serve.exchange import Exchange
from meshproxy.serve.h2c import SWITCHING, server_for, take_over
from meshproxy.serve.linger import Discard
from meshproxy.serve.refusal import as_problem, needs_length, refusal
from meshproxy.serve.serving import GRACE
from meshproxy.serve.stream import DownstreamStream
from meshproxy.serve.visit import Visit
from meshproxy.wire import h1_write
from meshproxy.wire.errors import WireError
from meshproxy.wire.h1_write import CHUNKED_CODING, CLOSE, KEEP_ALIVE, NO_BODY
from meshproxy.wire.heads import (
    CHUNKED,
    HTTP10,
    TUNNEL,
    UNTIL_CLOSE,
    Headers,
    RequestHead,
    ResponseHead,
)
from meshproxy.wire.upgrade import CONNECT, H2C, http1_agreement


class Http1Server(Piecewise, DownstreamStream):
    def __init__(self, visit: Visit) -> None:
        serving, chain = visit.serving, visit.chain
        super().__init__(serving.outbox)
        # Connection.
        self._serving = serving
        self._visit = visit
        self.listener = visit.listener
        self._settings = chain.settings
        self._reader = serving.reader(
            chain.settings.max_request_headers_bytes, chain.settings.max_request_headers
        )
        self._deadline = 0.0  # monotonic time at which waiting has lasted too long; 0: not waiting
        self._closing = False  # no further request is read
        self._cut = False  # it is about to be reset
        self._reading = False  # inside the loop over pipelined requests
        self._blocked = False  # the client does not take what was written
        self._idle = True  # between requests, with nothing of the next one read
        self._idle_since = 0.0
        self._draining = serving.draining_inbound and chain.inbound
        # Request.
        self._exchange: Exchange | None = None
        self._head: RequestHead | None = None
        self._body_wanted = False
        self._held = False  # the upstream does not take more of the body for now
        self._answer_chunked = False
        self._cut_at_end = False  # the answer lasts until the connection closes
        self._tunnel = False
        self.wire_in = 0

    # The transport calls these.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.set_write_buffer_limits(self._settings.buffer_bytes)
        self._wait_idle()
        self._serving.connections.add(self)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self._read_requests(data)
            return
        self._reader.feed(data)
        if self._body_wanted:
            self._read_body()
            if self._exchange is exchange:
                exchange.on_request_flush()
        elif len(self._reader.buffer) > self._settings.max_pipelined_bytes:
            self._pause_reading()

    def eof_received(self) -> bool:
        exchange = self._exchange
        if exchange is None:
            return False
        if self._tunnel:
            self._reader.ended = True
            exchange.on_request_end([])
            return True
        # As Envoy has it: a client that closes does not wait for the answer any more.
        exchange.on_client_error(ProxyError(Kind.CLIENT_GONE, side=Side.DOWNSTREAM))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._serving.connections.discard(self)
        self._serving.limits.connection_closed()
        if self._exchange is not None:
            self._exchange.on_client_error(ProxyError(Kind.CLIENT_GONE, side=Side.DOWNSTREAM))
        self._serving.upstreams.forget_client(self._visit.client)

    def pause_writing(self) -> None:
        self._blocked = True
        if self._exchange is not None:
            self._exchange.on_client_writable(False)

    def resume_writing(self) -> None:
        self._blocked = False
        if self._exchange is not None:
            self._exchange.on_client_writable(True)
        elif self._ready():
            self._read_requests(b"")

    # Reading requests.

    def _read_requests(self, data: bytes) -> None:
        """Start every request that is whole in the buffer, as long as answers come at once."""
        if self._reading:
            return
        if self._blocked:
            # A client that asks and does not take answers is not answered further.
            self._reader.feed(data)
            self._pause_reading()
            return
        self._reading = True
        reader = self._reader
        try:
            while True:
                head = reader.request(data)
                if head is None:
                    self._wait_for_head()
                    break
                self._start(head)
                if self._exchange is not None or not self._ready():
                    break
                data = b""
        except WireError as error:
            self._refuse(error)
        finally:
            self._reading = False

    def _ready(self) -> bool:
        """Whether the next request may be read: there is some, and the client takes answers."""
        return bool(self._reader.buffer) and not self._closing and not self._blocked

    def _wait_idle(self) -> None:
        self._idle = True
        self._idle_since = self._serving.now()
        self._deadline = self._idle_since + self._settings.downstream_idle_timeout

    def _wait_for_head(self) -> None:
        if self._idle:
            self._idle = False
            self._deadline = self._serving.now() + self._settings.header_timeout

    def _start(self, head: RequestHead) -> None:
        serving = self._serving
        self._deadline = 0.0
        self._idle = False
        visit = self._visit
        chain = visit.chain
        if chain.generation != serving.plans.current.generation:
            chain = visit.current()
        self._settings = chain.settings
        if not visit.welcome:
            self._closing = True
            visit.turn_away(self._transport)
            return
        if head.upgrade == H2C and self._become_http2(head):
            return
        record = visit.record()
        record.protocol = "HTTP/1.0" if head.version == HTTP10 else "HTTP/1.1"
        record.request = head
        record.path = head.path
        self._head = head
        self._closing = head.close
        self._tunnel = self._body_wanted = self._cut_at_end = False
        self.wire_in = head.wire_bytes
        self.wire_out = 0
        exchange = self._exchange = Exchange(serving, self, chain, head, record)
        exchange.start()

    def _become_http2(self, head: RequestHead) -> bool:
        """Whether the connection is HTTP/2 from here on, as the client has asked."""
        head.upgrade = b""
        if self._draining or (server := server_for(self._visit, head)) is None:
            return False
        self._out.append(SWITCHING)
        self.flush()
        self.write_out()
        self._closing = True
        self._serving.connections.discard(self)
        take_over(server, self._transport, head, self._reader.buffer)
        return True

    def _refuse(self, error: WireError) -> None:
        """Answer what could not be understood, and close: where would the next one start?"""
        serving = self._serving
        serving.count("meshproxy_downstream_protocol_errors_total", self.listener, error.details)
        self._closing = True
        problem = as_problem(error)
        if self._exchange is not None:
            self._exchange.on_client_error(problem)
            return
        record = self._visit.record()
        answer, body = refusal(problem, error.details, record)
        headers = [*answer.headers, (b"date", serving.date), CLOSE]
        self._out += [h1_write.response_head(answer.status, b"", headers), body]
        self.flush()
        record.wire_out = self.wire_out
        serving.ledger.add(record)
        self._linger()

    # The exchange calls these.

    def measure(self, record: Record) -> None:
        record.wire_in = self.wire_in
        record.wire_out = self.wire_out

    def start_body(self) -> None:
        self._body_wanted = True
        self._resume_reading()
        self._read_body()

    def _read_body(self) -> None:
        reader, exchange = self._reader, self._exchange
        assert exchange is not None
        before = reader.body_bytes
        try:
            while not reader.ended and not self._held:
                data = reader.body()
                if data:
                    exchange.on_request_data(data)
                    if self._exchange is not exchange:
                        return
                elif not reader.ended:
                    break
        except WireError as error:
            self._refuse(error)
            return
        self.wire_in += reader.body_bytes - before
        if reader.ended:
            self._body_wanted = False
            exchange.on_request_end(reader.trailers)

    def start_tunnel(self) -> None:
        self._tunnel = self._closing = True
        self._reader.tunnel()
        self.start_body()

    def send_informational(self, head: ResponseHead) -> None:
        if self._head is not None and self._head.version != HTTP10:
            self._out.append(h1_write.response_head(head.status, head.reason, head.headers))
            self.flush()

    def send_answer(self, head: ResponseHead, headers: Headers) -> None:
        request = self._head
        assert request is not None
        self._answer_chunked = False
        length = head.length
        if length == TUNNEL:
            if request.upgrade != CONNECT:
                headers = http1_agreement(request, head, headers)
        else:
            if length in (CHUNKED, UNTIL_CLOSE):
                if request.version == HTTP10:
                    self._cut_at_end = True
                else:
                    self._answer_chunked = True
                    headers.append(CHUNKED_CODING)
            elif not length and needs_length(head, request):
                headers.append(NO_BODY)
            if request.upgrade == CONNECT:
                self._closing = True  # what the client takes for a tunnel must not become requests
            if self._closing or self._cut_at_end or self._draining:
                self._closing = True
                headers.append(CLOSE)
            elif request.version == HTTP10:
                headers.append(KEEP_ALIVE)
        self._out.append(h1_write.response_head(head.status, head.reason, headers))

    def send_data(self, data: bytes) -> None:
        if self._answer_chunked:
            self._out += h1_write.chunk(data) if data else ()  # an empty chunk is the last one
        else:
            self._out.append(data)

    def send_end(self, trailers: Headers) -> None:
        if self._answer_chunked:
            self._out.append(h1_write.last_chunk(trailers))
        elif self._tunnel and not self._transport.is_closing():
            self.flush()
            self.write_out()
            self._transport.write_eof()

    def reset(self, error: ProxyError) -> None:
        self._closing = self._cut = True
        self.flush()
        self.write_out()  # what came before: it may be a WebSocket's last words
        self._serving.loop.call_soon(lambda: reset(self._transport))

    def pause(self) -> None:
        self._held = True
        self._pause_reading()

    def resume(self) -> None:
        self._held = False
        if self._exchange is not None and self._body_wanted:
            self._resume_reading()
            self._read_body()

    def done(self) -> None:
        """The exchange has ended: read the next request, or close."""
        reader = self._reader
        self._exchange = self._head = None
        self._body_wanted = self._held = False
        if self._tunnel or not reader.ended:
            self._end_unread()
        elif self._closing or self._draining:
            self._linger()
        else:
            self._wait_idle()
            if self._stopped and not self._blocked:
                self._resume_reading()
            if reader.buffer:
                self._read_requests(b"")

    # Closing.

    def _end_unread(self) -> None:
        """The answer is complete before the request: what is in the buffer may finish it."""
        self._closing = self._closing or self._tunnel
        try:
            while not self._reader.ended and self._reader.body():
                pass
        except WireError:
            self._closing = True
        if self._reader.ended and not self._closing and not self._draining:
            self.done()
        else:
            self._linger()

    def _linger(self) -> None:
        """Close so that the client still gets what was written.

        Closing a socket with unread bytes in it sends a reset that can overtake the answer. So our
        side ends first, what comes is thrown away, and the rest is closed after a moment
        (RFC 9112 section 9.6; Envoy's delayed close).
        """
        transport = self._transport
        if transport.is_closing() or self._cut:
            return
        self._closing = True
        self._deadline = 0.0
        self.write_out()
        if self._tunnel or (self._reader.ended and not self._reader.buffer):
            transport.close()
            return
        transport.write_eof()
        transport.set_protocol(
            Discard(self._serving.timers, self._settings.linger, transport, self.connection_lost)
        )

    # The worker calls these.

    @property
    def busy(self) -> bool:
        return (
            self._exchange is not None
            or bool(self._reader.buffer)
            or (self._idle and self._serving.now() - self._idle_since <= GRACE)
        )

    def check(self, now: float) -> None:
        if not self._deadline or now < self._deadline:
            return
        if self._idle or not self._reader.buffer:
            self._transport.close()
        else:
            reason = f"no complete head within {self._settings.header_timeout:g} s"
            self._refuse(WireError(reason, 408, "request_header_timeout"))

    def still_admitted(self) -> bool:
        return self._visit.still_admitted()

    def drain(self) -> None:
        self._draining = True
        # A connection that was made or used just now may have a request on its way.
        if self._idle and self._serving.now() - self._idle_since > GRACE:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
