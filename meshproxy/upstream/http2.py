"""A client connection that speaks HTTP/2: many requests at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from meshproxy.aio.http2 import Http2Connection, Stream
from meshproxy.base.errors import Kind, ProxyError, Retry
from meshproxy.cluster.endpoints import EndpointState
from meshproxy.record import Record
from meshproxy.tls.errors import TlsFailure
from meshproxy.upstream.stream import AnswerSink, UpstreamStream
from meshproxy.wire.errors import WireError
from meshproxy.wire.framing import tokens
from meshproxy.wire.h2 import UNLIMITED, Code, Codec, GoAwayCame
from meshproxy.wire.h2_heads import (
    check_trailers,
    in_lower_case,
    response_head,
)
from meshproxy.wire.heads import Headers, RequestHead, ResponseHead
from meshproxy.wire.upgrade import CONNECT, agree, connect_lines

if TYPE_CHECKING:
    from meshproxy.upstream.upstreams import Upstreams


class Http2Client(Http2Connection):
    """Stays in its endpoint's pool as long as it takes more streams."""

    def __init__(self, upstreams: Upstreams, endpoint: EndpointState, codec: Codec) -> None:
        super().__init__(codec, upstreams.settings, upstreams.outbox, upstreams.timers)
        self._upstreams = upstreams
        self._endpoint = endpoint
        self.max_fields = upstreams.settings.max_response_headers
        self.idle_since = upstreams.loop.time()
        self.reused = False
        self._unsettled: list[Callable[[], None]] = []  # who waits for the peer's settings
        self.leaving = False  # no further stream may be opened
        # Requests may be sent before the peer's settings come. It refuses what is too many, so what
        # it said on an earlier connection holds until then.
        self._max_streams = endpoint.pool.max_streams or UNLIMITED

    @property
    def has_room(self) -> bool:
        if self.leaving or self.closed:
            return False
        open_now = len(self.streams)
        return open_now < self._max_streams and open_now < self.codec.max_streams()

    def open_stream(self) -> ClientStream:
        """A stream for one request; it takes part once `send_request` is called."""
        stream = ClientStream(self)
        self.reused = True
        return stream

    @property
    def settled(self) -> bool:
        """The peer's settings have come, or will never."""
        return self.closed or self.codec.upgrades() is not None

    def takes(self, head: RequestHead) -> bool:
        """Whether the peer is known to take this request for a tunnel. An extended CONNECT has no
        room for a method, so it stands for GET (RFC 8441 section 5)."""
        if head.upgrade == CONNECT:
            return True
        return head.method == b"GET" and bool(self.codec.upgrades())

    def when_settled(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once `settled`, which may be at once."""
        if self.settled:
            tell()
        else:
            self._unsettled.append(tell)

    def on_settings(self) -> None:
        self._max_streams = UNLIMITED
        self._endpoint.pool.max_streams = max(1, self.codec.max_streams())
        self._tell_settled()

    def _tell_settled(self) -> None:
        waiting, self._unsettled = self._unsettled, []
        for tell in waiting:
            tell()

    def on_go_away(self, event: GoAwayCame) -> None:
        self.leaving = True
        self._endpoint.pool.forget(self)
        self._fail_above(
            event.last_id,
            ProxyError(Kind.UPSTREAM_RESET, "the upstream went away first", retry=Retry.ELSEWHERE),
        )
        if not self.streams:
            self.close()

    def on_stream_broken(self, details: str) -> None:
        self._upstreams.rules_broken(self._endpoint.cluster, details)

    def on_broken(self, error: WireError) -> None:
        super().on_broken(error)
        self.on_stream_broken(error.details)
        self._fail_above(0, ProxyError(Kind.UPSTREAM_PROTOCOL, error.reason))

    def end_silent(self, reason: str) -> None:
        """Requests go on as after a connection that was closed: another one is asked, where the
        same request may be sent twice."""
        self.leaving = True
        self._endpoint.pool.forget(self)
        self._upstreams.ping_timed_out(self._endpoint.cluster)
        self._fail_above(0, ProxyError(Kind.UPSTREAM_SILENT, reason, retry=Retry.IF_SAFE))

    def _fail_above(self, last_id: int, error: ProxyError) -> None:
        for stream in list(self.streams.values()):
            if stream.id > last_id and isinstance(stream, ClientStream):
                self.forget(stream)
                stream.fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._endpoint.pool.open -= 1
        self._endpoint.pool.forget(self)
        self._tell_settled()

    def forget(self, stream: Stream) -> None:
        super().forget(stream)
        if not self.streams:
            self.idle_since = self._upstreams.loop.time()
            if self.leaving and not self.closed:
                self.close()


class ClientStream(Stream, UpstreamStream):
    def __init__(self, client: Http2Client) -> None:
        super().__init__(client, 0)
        self.client = client
        self._sink: AnswerSink | None = None
        self._method = self._upgrade = b""
        self._answered = False
        self._sent = False
        self._tunnel = False
        self._reused = client.reused

    def describe(self, record: Record) -> None:
        connection = self.connection
        record.reused = self._reused
        record.upstream_local = connection.local
        record.upstream_secured = connection.secured

    def send_request(self, head: RequestHead, headers: Headers, sink: AnswerSink) -> None:
        connection = self.connection
        self._sink = sink
        self._method = head.method
        self._upgrade = head.upgrade
        if connection.closed:
            closed = "the upstream closed"
            self.fail(ProxyError(Kind.UPSTREAM_CLOSED, closed, retry=Retry.ELSEWHERE))
            return
        if not self.client.has_room:
            said = "the upstream takes no more streams"
            self.fail(ProxyError(Kind.UPSTREAM_RESET, said, retry=Retry.ALWAYS))
            return
        self.id = connection.codec.new_stream()
        connection.streams[self.id] = self
        self._sent = head.length == 0 and not head.upgrade
        if head.upgrade:
            lines = connect_lines(head)
        else:
            lines = [
                (b":method", head.method),
                (b":scheme", head.scheme),
                (b":authority", head.authority),
                (b":path", head.path),
            ]
        lines += in_lower_case(headers, but=b"host")
        te = head.fields.get(b"te")
        if te is not None and b"trailers" in tokens(te):
            lines.append((b"te", b"trailers"))
        connection.codec.send_headers(self.id, lines, self._sent)
        connection.flush()

    def send_data(self, data: bytes) -> None:
        self.write(data)

    def send_end(self, trailers: Headers) -> None:
        self.write_end(in_lower_case(trailers))

    def flush(self) -> None:
        """The connection writes once for each read of its own."""

    def on_end_sent(self) -> None:
        self._sent = True
        if self._tunnel and self.ended_by_peer:
            self._sink = None
            self.connection.forget(self)

    def cancel(self) -> None:
        self._sink = None
        self.cut(Code.CANCEL)

    def fail(self, error: ProxyError) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.on_upstream_error(error)

    # The connection calls these.

    def on_headers(self, headers: Headers, end: bool) -> None:
        sink = self._sink
        if sink is None:
            return
        try:
            answer = response_head(headers, end, self._method, self.client.max_fields)
        except WireError as error:
            self.client.on_stream_broken(error.details)
            self.cut(Code.PROTOCOL_ERROR)
            self.fail(ProxyError(Kind.UPSTREAM_PROTOCOL, error.reason))
            return
        if answer.status < 200:
            sink.on_informational(answer)
            return
        self._answered = True
        if self._upgrade:
            self._settle_tunnel(answer)
        sink.on_answer(answer)
        if end:
            self._finish([])
        elif self._sink is not None:
            self._sink.on_answer_flush()

    def _settle_tunnel(self, answer: ResponseHead) -> None:
        if 200 <= answer.status < 300:
            agree(answer, self._upgrade)
            self._tunnel = True
        else:
            self.write_end([])  # refused: what the client meant for the tunnel is not sent

    def on_data(self, data: bytes) -> None:
        sink = self._sink
        if sink is not None and data:
            sink.on_answer_data(data)
            if self._sink is sink:
                sink.on_answer_flush()

    def on_end(self, trailers: Headers) -> None:
        try:
            trailers = check_trailers(trailers, self.client.max_fields)
        except WireError as error:
            self.client.on_stream_broken(error.details)
            self.cut(Code.PROTOCOL_ERROR)
            self.fail(ProxyError(Kind.UPSTREAM_PROTOCOL, error.reason))
            return
        self._finish(trailers)

    def _finish(self, trailers: Headers) -> None:
        if self._tunnel and not self._sent:
            if self._sink is not None:  # it still sends, and hears of a reset
                self._sink.on_answer_end(trailers)
            return
        sink, self._sink = self._sink, None
        if not self._sent:
            self.cut(Code.NO_ERROR)  # the answer came before the request was whole
        else:
            self.connection.forget(self)
        if sink is not None:
            sink.on_answer_end(trailers)

    def on_reset(self, code: int, reason: str) -> None:
        if reason:
            self.fail(ProxyError(Kind.UPSTREAM_PROTOCOL, reason))
        elif self.connection.closed:
            lost = self.connection.lost
            if isinstance(lost, TlsFailure):
                self.fail(ProxyError(Kind.UPSTREAM_CLOSED, f"TLS: {lost.reason}"))
                return
            # Its GOAWAY may have been overtaken by the end, as that of a server which closes with
            # requests unread.
            again = Retry.NEVER if self._answered else Retry.IF_SAFE
            said = "the upstream closed the connection"
            self.fail(ProxyError(Kind.UPSTREAM_CLOSED, said, retry=again))
        elif code == Code.REFUSED_STREAM.value:
            self.fail(ProxyError(Kind.UPSTREAM_RESET, "refused stream", retry=Retry.ALWAYS))
        else:
            self.fail(ProxyError(Kind.UPSTREAM_RESET, f"reset with error code {code}"))

    def on_writable(self, writable: bool) -> None:
        if self._sink is not None:
            self._sink.on_upstream_writable(writable)
