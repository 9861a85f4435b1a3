"""One request, from its head to its record. This is the page to read first.

An `Exchange` is the life of a request; its methods stand in the order in which they happen: route,
choose, prepare, ask, answer, end, fail, finish. What has to wait returns, and the next method is
called by whoever brings what was waited for: a connection that was dialled, an answer, a deadline.
So a request that finds an open connection costs no task, no future and no queue.

Heads pass through the exchange; of bodies it only sees pieces on their way from one connection's
callback to the other's write. Back-pressure is pausing the reader of the other side.
"""

from __future__ import annotations

import logging
from typing import Final

from meshproxy.aio.timers import Timer
from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.cluster.endpoints import EndpointState
from meshproxy.plan.plan import ChainPlan, ClusterPlan, Destination, RoutePlan
from meshproxy.record import Record
from meshproxy.route.rewrite import HeaderEdit
from meshproxy.serve.admission import admit
from meshproxy.serve.headers import answer_headers, request_headers, rewrite, tell_timeout
from meshproxy.serve.local import error_answer, route_answer
from meshproxy.serve.resend import IDEMPOTENT, may_send_again
from meshproxy.serve.serving import Serving
from meshproxy.serve.stream import DownstreamStream
from meshproxy.upstream.stream import AnswerSink, UpstreamStream
from meshproxy.wire.grpc import grpc_status, is_grpc, time_limit
from meshproxy.wire.heads import TUNNEL, Headers, RequestHead, ResponseHead, index

_log: Final = logging.getLogger(__name__)

_SERVER_OUTBOUND: Final = (b"server", b"envoy")
_SERVER_INBOUND: Final = (b"server", b"istio-envoy")
_NO_TRAILERS: Final[Headers] = []


class Exchange(AnswerSink):
    """Carries one request. It is the sink of both streams.

    ``started``: the answer's head has been sent. ``answered``: the answer is complete.
    ``uploaded``: so is the request. ``over``: the record has been written.
    """

    __slots__ = (
        "_answer",
        "_chain",
        "_cluster",
        "_destination",
        "_downstream",
        "_endpoint",
        "_head",
        "_headers",
        "_held",
        "_inbound",
        "_serving",
        "_stream",
        "_timeout",
        "_timer",
        "answered",
        "over",
        "record",
        "started",
        "uploaded",
    )

    def __init__(
        self,
        serving: Serving,
        downstream: DownstreamStream,
        chain: ChainPlan,
        head: RequestHead,
        record: Record,
    ) -> None:
        self.record = record
        self.started = self.answered = self.over = False
        self._held = False  # the client takes no more for now
        self.uploaded = head.length == 0 and not head.upgrade
        self._serving = serving
        self._downstream = downstream
        self._chain = chain
        self._inbound = chain.inbound
        self._head = head
        self._headers: Headers = []  # as the upstream shall see them
        self._destination: Destination | None = None
        self._cluster: ClusterPlan | None = None
        self._endpoint: EndpointState | None = None
        self._stream: UpstreamStream | None = None
        self._answer: ResponseHead | None = None
        self._timer: Timer | None = None
        self._timeout = 0.0  # seconds for the whole; 0: none

    # The life of a request.

    def start(self) -> None:
        """Decide where the request goes, and ask there."""
        try:
            admit(self._serving, self._chain, self.record, self._head)
            route = self._chain.route(self._head)
            if route is None:
                host = self._head.authority.decode("latin-1")
                raise ProxyError(Kind.NO_ROUTE, f"{self._chain.name}, host {host!r}")
            self.record.route = route
            if route.status:
                self._answer_from_here(route)
                return
            self._prepare(route, self._choose(route))
            # Istio's route timeout counts from the request's last byte, all attempts together; it
            # bounds a gRPC caller's own, which counts from the beginning where the route has none.
            if self._timeout and (self.uploaded or not route.timeout):
                self._start_deadline()
            self._ask()
        except ProxyError as error:
            self.fail(error)
        except Exception:
            _log.exception("internal error in an exchange")
            self.fail(ProxyError(Kind.INTERNAL, side=Side.US))

    def _choose(self, route: RoutePlan) -> Destination:
        """Pick an arm of the route's split."""
        destination = route.only
        if destination is None:
            assert route.choose is not None
            self.record.draw = draw = self._serving.draw()
            destination = route.choose(draw)
        cluster = destination.slot.plan
        if cluster is None:
            raise ProxyError(Kind.NO_CLUSTER, f"there is no {destination.slot.name}", Side.US)
        self._destination = self.record.destination = destination
        self._cluster = self.record.cluster = cluster
        return destination

    def _prepare(self, route: RoutePlan, destination: Destination) -> None:
        """Make the request what the upstream shall see."""
        head = self._head
        headers = request_headers(
            head, not self._inbound, self._serving.request_id, self.record.secured
        )
        if self._chain.tell_caller is not None:
            headers = self._chain.tell_caller(head, headers, self.record.secured)
        self._timeout = time_limit(head, route.timeout)
        if route.timeout:
            headers = tell_timeout(head, headers, self._timeout)
        if route.rewrite_path is not None or destination.authority:
            headers = rewrite(head, headers, route.rewrite_path, destination.authority)
        if destination.edit_request is not None:
            headers = destination.edit_request(headers)
        self._headers = headers

    def _ask(self) -> None:
        """One attempt: pick an endpoint, and send at once or when a connection has been dialled."""
        record, head, cluster = self.record, self._head, self._cluster
        assert cluster is not None
        upstreams = self._serving.upstreams
        endpoint = upstreams.endpoint(cluster, record.local, record.client, self)
        if endpoint is None:
            return  # `on_names` goes on
        if cluster.sni_of_host:
            endpoint = upstreams.for_host(endpoint, head.authority)
        self._endpoint = record.endpoint = endpoint
        record.upstream = endpoint.address
        if not self._inbound:
            record.peer = endpoint.peer
        endpoint.active += 1
        careful = head.length != 0 or bool(head.upgrade) or head.method not in IDEMPOTENT
        stream = upstreams.take(cluster, endpoint, head, careful)
        if stream is None:
            upstreams.dial(cluster, endpoint, head, self)
        else:
            self._send(stream)

    def on_names(self) -> None:
        """Ask once more: what the upstream's names mean is known by now."""
        if self.over:
            return
        try:
            self._ask()
        except ProxyError as error:
            self.fail(error)

    def on_stream(self, stream: UpstreamStream) -> bool:
        """A connection has been dialled for us. False: it is not wanted any more."""
        if self.over or self._stream is not None:
            return False
        self._send(stream)
        return True

    def on_dial_error(self, error: ProxyError) -> None:
        self.on_upstream_error(error)

    def _send(self, stream: UpstreamStream) -> None:
        record, head = self.record, self._head
        self._stream = stream
        stream.describe(record)
        stream.send_request(head, self._headers, self)
        if self._held:  # since before there was anything to stop
            stream.pause()
        if not self.uploaded and not head.upgrade:
            self._downstream.start_body()
        stream.flush()

    def on_informational(self, head: ResponseHead) -> None:
        self._downstream.send_informational(head)

    def on_answer(self, head: ResponseHead) -> None:
        """The answer's head has come: pass it on."""
        serving, record, destination = self._serving, self.record, self._destination
        self._answer = record.response = head
        record.code = head.status
        record.details = "via_upstream"
        record.answered = now = serving.now()
        headers = answer_headers(
            head,
            _SERVER_INBOUND if self._inbound else _SERVER_OUTBOUND,
            serving.date,
            int((now - record.start) * 1000),
        )
        if destination is not None and destination.edit_response is not None:
            headers = destination.edit_response(headers)
            head.fields = index(headers)
        self.started = True
        self._downstream.send_answer(head, headers)
        if head.length == TUNNEL:
            self._downstream.start_tunnel()
            self.on_request_flush()  # what was sent ahead

    def on_answer_data(self, data: bytes) -> None:
        self.record.body_out += len(data)
        self._downstream.send_data(data)

    def on_answer_flush(self) -> None:
        self._downstream.flush()

    def on_answer_end(self, trailers: Headers) -> None:
        """The answer is complete; a tunnel lasts until both sides have ended."""
        self.answered = True
        answer = self._answer
        if answer is not None and is_grpc(self._head):
            self.record.grpc_status = grpc_status(answer, trailers)
        if answer is not None and answer.length != 0:
            self._downstream.send_end(trailers)
        if self.uploaded or answer is None or answer.length != TUNNEL:
            self._finish()
        else:
            self._downstream.flush()

    # The rest of the request, meanwhile.

    def on_request_data(self, data: bytes) -> None:
        self.record.body_in += len(data)
        if self._stream is not None and not self.over:
            self._stream.send_data(data)

    def on_request_flush(self) -> None:
        if self._stream is not None and not self.over:
            self._stream.flush()

    def on_request_end(self, trailers: Headers) -> None:
        self.uploaded = True
        self.record.taken = self._serving.now()
        if self._stream is not None and not self.over:
            self._stream.send_end(trailers)
            self._stream.flush()
        if self._timeout and self._timer is None and not self.over:
            self._start_deadline()
        if self.answered and not self.over:
            self._finish()

    # Back-pressure: whoever can't take more stops the other side's reader.

    def on_client_writable(self, writable: bool) -> None:
        self._held = not writable
        if self._stream is not None and not self.answered:
            if writable:
                self._stream.resume()
            else:
                self._stream.pause()

    def on_upstream_writable(self, writable: bool) -> None:
        if writable:
            self._downstream.resume()
        else:
            self._downstream.pause()

    # What goes wrong.

    def on_client_error(self, error: ProxyError) -> None:
        self.fail(error)

    def on_upstream_error(self, error: ProxyError) -> None:
        fresh = not self.over and not self.started and self._stream is not None
        if fresh and may_send_again(error, self._head, self.record):
            self._try_again()
        elif self.answered and not self.over:
            self._finish()  # of a tunnel whose other side has said all, and wants no more
        else:
            self.fail(error)

    def _start_deadline(self) -> None:
        after = self._serving.timers.after
        self._timer = after(self._timeout, lambda: self.fail(ProxyError(Kind.TIMEOUT)))

    def _try_again(self) -> None:
        record, endpoint = self.record, self._endpoint
        assert endpoint is not None
        record.failed_attempt(endpoint.address, record.reused, Kind.UPSTREAM_CLOSED)
        endpoint.release(0)
        self._endpoint = self._stream = None
        self._serving.count("meshproxy_request_resends_total")
        self.on_names()

    def fail(self, error: ProxyError) -> None:
        """Answer for what could not be done, or cut the answer off if it has begun."""
        if self.over:
            return
        record, meaning = self.record, error.meaning
        record.flags = meaning.flag if meaning.flag != "-" else ""
        record.details = error.details
        if is_grpc(self._head):
            record.grpc_status = meaning.grpc  # also where nobody is left to be told
        if error.side is Side.UPSTREAM and meaning.flag in ("UF", "UC", "UPE"):
            record.transport_failure = error.reason
        elif error.kind is Kind.DENIED:
            record.termination = error.reason
        if self._stream is not None:  # a tunnel's half may have ended: the other goes, too
            self._stream.cancel()
        if error.kind is not Kind.CLIENT_GONE:
            if self.started:
                record.details = record.details.replace("before_response", "after_response")
                self._downstream.reset(error)
            else:
                self._answer_error(error)
        self._finish()

    # Answers that are made here.

    def _answer_from_here(self, route: RoutePlan) -> None:
        if route.reason:
            raise ProxyError(Kind.BLOCKED, route.reason, Side.US, status=route.status)
        answer, body = route_answer(route, self._head)
        self.record.details = route.details
        self._send_local(answer, body, route.edit_answer)
        self._finish()

    def _answer_error(self, error: ProxyError) -> None:
        answer, body = error_answer(error, self._head)
        route: RoutePlan | None = self.record.route
        self._send_local(answer, body, None if route is None else route.edit_error)

    def _send_local(self, answer: ResponseHead, body: bytes, edit: HeaderEdit | None) -> None:
        record = self.record
        record.code = answer.status
        record.response = answer
        if is_grpc(self._head):
            record.grpc_status = grpc_status(answer, _NO_TRAILERS)
        self.started = self.answered = True
        server = _SERVER_INBOUND if self._inbound else _SERVER_OUTBOUND
        headers = [*answer.headers, (b"date", self._serving.date), server]
        if edit is not None:
            headers = edit(headers)
        if self._head.method == b"HEAD":
            body = b""
            answer.length = 0
        self._downstream.send_answer(answer, headers)
        if body:
            record.body_out += len(body)
            self._downstream.send_data(body)
        if answer.length:
            self._downstream.send_end(_NO_TRAILERS)

    # The end.

    def _finish(self) -> None:
        """Write the record, and let the connection go on."""
        self.over = True
        record, downstream = self.record, self._downstream
        if self._timer is not None:
            self._timer.cancel()
        if self._endpoint is not None:
            self._endpoint.release(record.code, record.flags)
        downstream.flush()
        record.duration_ms = int((self._serving.now() - record.start) * 1000)
        downstream.measure(record)
        self._serving.ledger.add(record)
        downstream.done()
