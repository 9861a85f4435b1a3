"""A downstream connection that speaks HTTP/2: a request on each stream."""

from __future__ import annotations

from typing import Final

from meshproxy.aio.http2 import Http2Connection, Stream
from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.plan.plan import ChainPlan
from meshproxy.record import Record
from meshproxy.serve.exchange import Exchange
from meshproxy.serve.linger import Discard
from meshproxy.serve.refusal import as_problem, stream_refusal
from meshproxy.serve.stream import DownstreamStream
from meshproxy.serve.visit import Visit
from meshproxy.wire.errors import WireError
from meshproxy.wire.h2 import (
    ALL_STREAMS,
    Code,
    Codec,
    HeadersCame,
)
from meshproxy.wire.h2_heads import (
    TOO_LARGE,
    check_trailers,
    in_lower_case,
    request_head,
    size_of,
)
from meshproxy.wire.heads import TUNNEL, Headers, RequestHead, ResponseHead
from meshproxy.wire.upgrade import CONNECT, http2_agreement

_SILENT: Final = "downstream_local_disconnect(http2_ping_timeout)"  # Envoy's words


class Http2Server(Http2Connection):
    def __init__(self, visit: Visit, codec: Codec | None = None) -> None:
        """``codec``: of a connection that was HTTP/1.1 before (`serve/h2c.py`)."""
        serving, settings = visit.serving, visit.chain.settings
        codec = codec or serving.http2(False, settings)
        super().__init__(codec, settings, serving.outbox, serving.timers)
        self.serving = serving
        self.visit = visit
        self.listener = visit.listener
        self._idle_since = serving.now()
        self._warned = self._draining = False  # a first and a final GOAWAY have been sent
        self._first: tuple[ServerStream, RequestHead] | None = None  # not yet begun
        serving.connections.add(self)

    def on_new_stream(self, event: HeadersCame) -> None:
        if self._draining:
            self.codec.reset(event.stream_id, Code.REFUSED_STREAM)
            return
        chain = self.visit.current()
        if not self.visit.welcome:
            # A new plan does not admit what was admitted when the connection came.
            self.codec.reset(event.stream_id, Code.REFUSED_STREAM)
            return
        stream = ServerStream(self, event.stream_id)
        self.streams[event.stream_id] = stream
        stream.ended_by_peer = event.end
        try:
            if event.too_large:
                raise WireError("more than their bound", 431, TOO_LARGE)
            head = request_head(event.headers, event.end, chain.settings.max_request_headers)
        except WireError as error:
            stream.refuse(error, event.headers)
            return
        stream.begin(chain, head)

    def begin_first(self, head: RequestHead) -> None:
        """The request that made HTTP/1.1 become HTTP/2 is stream 1, and whole.

        It waits for the client's settings, which come at once (RFC 7540 3.2). Some clients can't
        take much of an answer together with the 101: curl 7.88 no more than 32 KiB.
        """
        stream = self.streams[1] = ServerStream(self, 1)
        stream.ended_by_peer = True
        self._first = stream, head

    def on_settings(self) -> None:
        first, self._first = self._first, None
        if first is None or not first[0].open:
            return
        chain = self.visit.current()
        if self.visit.welcome:
            first[0].begin(chain, first[1])
        else:
            first[0].cut(Code.REFUSED_STREAM)

    def on_stream_broken(self, details: str) -> None:
        self.count_broken(details)

    def on_broken(self, error: WireError) -> None:
        super().on_broken(error)
        self.count_broken(error.details)

    def end_broken(self) -> None:
        """Stay until the client has read why: closing with bytes unread sends a reset, which can
        overtake the GOAWAY."""
        self.write_out()
        transport = self._transport
        if self.closed or transport.is_closing():
            return
        self.closed = True
        self.end_streams()
        transport.write_eof()
        settings = self.visit.chain.settings
        transport.set_protocol(
            Discard(self.serving.timers, settings.linger, transport, self.connection_lost)
        )

    def end_silent(self, reason: str) -> None:
        self.serving.count("meshproxy_downstream_http2_ping_timeouts_total", self.listener)
        self.end_streams()

    def count_broken(self, details: str) -> None:
        self.serving.count("meshproxy_downstream_protocol_errors_total", self.listener, details)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.serving.connections.discard(self)
        self.serving.limits.connection_closed()
        self.serving.upstreams.forget_client(self.visit.client)

    def forget(self, stream: Stream) -> None:
        super().forget(stream)
        if not self.streams:
            self._idle_since = self.serving.now()
            if self._draining and not self.closed:
                self.close()

    # The worker calls these.

    @property
    def busy(self) -> bool:
        return bool(self.streams)

    def check(self, now: float) -> None:
        self.relax()
        settings, waited = self.visit.chain.settings, now - self._idle_since
        if (self._first is not None and waited > settings.header_timeout) or (
            not self.streams and waited > settings.downstream_idle_timeout
        ):
            self.close()

    def still_admitted(self) -> bool:
        return self.visit.still_admitted()

    def drain(self) -> None:
        """First say that there will be an end (RFC 9113 6.8), so that streams on their way are
        served; a step later, which streams were seen, and close when they have ended."""
        if self.closed:
            return
        if not self._warned:
            self._warned = True
            self.codec.go_away(ALL_STREAMS)
        elif not self._draining:
            self._draining = True
            self.codec.go_away(self.codec.last_stream())
        self.flush()
        if self._draining and not self.streams:
            self.close()


class ServerStream(Stream, DownstreamStream):
    def __init__(self, server: Http2Server, stream_id: int) -> None:
        super().__init__(server, stream_id)
        self._server = server
        self._exchange: Exchange | None = None
        self._head: RequestHead | None = None
        self._started = False  # the exchange wants the body
        self._early: list[bytes] = []
        self._trailers: Headers | None = None
        self._answer_ended = False
        self.wire_in = 0
        self.wire_out = 0

    def begin(self, chain: ChainPlan, head: RequestHead) -> None:
        server = self._server
        serving = server.serving
        record = server.visit.record()
        record.protocol = "HTTP/2"
        record.request = head
        record.path = head.path
        self.wire_in = head.wire_bytes
        self._head = head
        if head.upgrade and self.ended_by_peer:
            self._trailers = []  # its half of the tunnel has ended before there is one
        self.pause()  # until the exchange asks for the body
        self._exchange = Exchange(serving, self, chain, head, record)
        self._exchange.start()

    def refuse(self, error: WireError, headers: Headers) -> None:
        """Answer a request that is too large, or that we do not do, on its own stream; a malformed
        one resets it (RFC 9113 8.1.1), as its sender can't make sense of an answer."""
        server = self._server
        server.count_broken(error.details)
        if error.status == 400:
            self.cut(Code.PROTOCOL_ERROR)
            return
        record = server.visit.record()
        answer, body = stream_refusal(as_problem(error), error.details, headers, record)
        date = (b"date", server.serving.date)
        self.send_answer(answer, [*answer.headers, date])
        if body:
            self.send_data(body)
            self.send_end([])
        if not self.ended_by_peer:
            self.connection.codec.reset(self.id, Code.NO_ERROR)
        self.connection.forget(self)
        record.wire_in, record.wire_out = size_of(headers), self.wire_out
        server.serving.ledger.add(record)

    # The connection calls these.

    def on_headers(self, headers: Headers, end: bool) -> None:
        pass  # the codec tells a second block as trailers

    def on_data(self, data: bytes) -> None:
        self.wire_in += len(data) + 9
        if not data:
            return
        if self._started and self._exchange is not None:
            self._exchange.on_request_data(data)
            if self._exchange is not None:
                self._exchange.on_request_flush()
        else:
            self._early.append(data)

    def on_end(self, trailers: Headers) -> None:
        try:
            trailers = check_trailers(
                trailers, self._server.visit.chain.settings.max_request_headers
            )
        except WireError as error:
            self._server.count_broken(error.details)
            self.cut(Code.PROTOCOL_ERROR)
            if self._exchange is not None:
                problem = ProxyError(Kind.BAD_REQUEST, error.reason, Side.DOWNSTREAM)
                self._exchange.on_client_error(problem)
            return
        if self._started and self._exchange is not None:
            self._exchange.on_request_end(trailers)
        else:
            self._trailers = trailers

    def on_reset(self, code: int, reason: str) -> None:
        if self._exchange is not None:
            details = _SILENT if self._server.silent else ""
            problem = ProxyError(Kind.CLIENT_GONE, side=Side.DOWNSTREAM, details=details)
            if reason:
                problem = ProxyError(Kind.BAD_REQUEST, reason, Side.DOWNSTREAM)
            self._exchange.on_client_error(problem)

    def on_writable(self, writable: bool) -> None:
        if self._exchange is not None:
            self._exchange.on_client_writable(writable)

    # The exchange calls these.

    def measure(self, record: Record) -> None:
        record.wire_in = self.wire_in
        record.wire_out = self.wire_out

    def start_body(self) -> None:
        self._started = True
        assert self._exchange is not None
        early, self._early = self._early, []
        self.resume()  # first, since the app may take no more of it, and say so
        for data in early:
            self._exchange.on_request_data(data)
        if self._trailers is not None and self._exchange is not None:
            self._exchange.on_request_end(self._trailers)

    def start_tunnel(self) -> None:
        """Bytes both ways are DATA as any body's."""
        self.start_body()

    def send_informational(self, head: ResponseHead) -> None:
        self._send_headers(head.status, head.headers, False)

    def send_answer(self, head: ResponseHead, headers: Headers) -> None:
        end = head.length == 0
        status, request = head.status, self._head
        if request is not None and request.upgrade:
            if head.length == TUNNEL:
                status, headers = http2_agreement(request, head, headers)
            elif 200 <= status < 300:
                # A route's own answer: to the client it would mean that there is a tunnel.
                self.cut(Code.CONNECT_ERROR)
        self._send_headers(status, headers, end)
        self._answer_ended = end

    def _send_headers(self, status: int, headers: Headers, end: bool) -> None:
        if self.open:
            lines = [(b":status", b"%d" % status)]
            lines += in_lower_case(headers)
            self.wire_out += size_of(lines)
            self.connection.codec.send_headers(self.id, lines, end)
            self.connection.flush()

    def send_data(self, data: bytes) -> None:
        self.wire_out += len(data) + 9
        self.write(data)

    def send_end(self, trailers: Headers) -> None:
        self.write_end(in_lower_case(trailers))

    def flush(self) -> None:
        """The connection writes once for each read of its own."""

    def on_end_sent(self) -> None:
        self._answer_ended = True
        if self._exchange is None:
            self._close()

    def reset(self, error: ProxyError) -> None:
        upgrade = b"" if self._head is None else self._head.upgrade
        if not upgrade:
            self.cut(Code.INTERNAL_ERROR)
        else:  # RFC 9113 8.5; RFC 8441 section 5: as TCP's reset
            self.cut(Code.CONNECT_ERROR if upgrade == CONNECT else Code.CANCEL)

    def done(self) -> None:
        self._exchange = None
        if self._answer_ended:
            self._close()

    def _close(self) -> None:
        """Both the answer and the exchange have ended."""
        if self.open and not self.ended_by_peer:
            # RFC 9113 8.1: the answer is whole, the rest of the request is not wanted.
            self.connection.codec.reset(self.id, Code.NO_ERROR)
        self.connection.forget(self)
        self.connection.flush()
