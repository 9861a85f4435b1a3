"""Which HTTP an upstream is spoken to in, and upgrades where that is HTTP/2 (RFC 8441).

Over HTTP/2 an upgrade is extended CONNECT, which a client must not send before the server has said
in its SETTINGS that it takes it (section 3). Envoy sends it unasked, and a server that does not
know it resets the stream. Here the caller is told why, or gets a connection of HTTP/1.1 where the
endpoint speaks that as well (`UpstreamHttp.UPGRADED`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshproxy.aio.timers import Timer
from meshproxy.base.errors import Kind, ProxyError
from meshproxy.cluster.endpoints import EndpointState
from meshproxy.model.cluster import UpstreamHttp
from meshproxy.plan.plan import ClusterPlan
from meshproxy.upstream.http2 import ClientStream
from meshproxy.upstream.stream import UpstreamStream
from meshproxy.upstream.waiter import Waiter
from meshproxy.wire.heads import HTTP2, RequestHead

if TYPE_CHECKING:
    from meshproxy.upstream.upstreams import Upstreams


def speaks_http2(cluster: ClusterPlan, version: int) -> bool:
    """Whether a request that came in this version of HTTP goes on in HTTP/2."""
    if cluster.http is UpstreamHttp.AS_DOWNSTREAM:
        return version == HTTP2
    return cluster.http is not UpstreamHttp.HTTP1


class Upgrading:
    """A `Waiter` in front of another one, until the upstream has said what it takes."""

    def __init__(
        self,
        upstreams: Upstreams,
        cluster: ClusterPlan,
        endpoint: EndpointState,
        head: RequestHead,
        waiter: Waiter,
    ) -> None:
        self._upstreams = upstreams
        self._cluster = cluster
        self._endpoint = endpoint
        self._head = head
        self._waiter = waiter
        self._stream: ClientStream | None = None
        self._timer: Timer | None = None

    def on_dial_error(self, error: ProxyError) -> None:
        self._waiter.on_dial_error(error)

    def on_stream(self, stream: UpstreamStream) -> bool:
        """The connection is there; its peer's SETTINGS need not be."""
        assert isinstance(stream, ClientStream)
        self._stream = stream
        limit = self._cluster.connect_timeout
        if limit and not stream.client.settled:
            self._timer = self._upstreams.timers.after(limit, self._on_silence)
        stream.client.when_settled(self._decide)
        return True

    def _on_silence(self) -> None:
        self._stream = None
        text = "the upstream said nothing of what HTTP/2 it speaks"
        self._waiter.on_dial_error(ProxyError(Kind.CONNECT_TIMEOUT, text))

    def _decide(self) -> None:
        stream = self._stream
        if self._timer is not None:
            self._timer.cancel()
        if stream is None:
            return
        client, waiter = stream.client, self._waiter
        if client.closed:
            text = "the upstream closed before it said what HTTP/2 it speaks"
            waiter.on_dial_error(ProxyError(Kind.UPSTREAM_CLOSED, text))
        elif not client.takes(self._head):
            self._go_without()
        elif client.has_room:
            waiter.on_stream(stream)
        elif client.streams:
            self._upstreams.dial(self._cluster, self._endpoint, self._head, waiter)
        else:
            waiter.on_dial_error(ProxyError(Kind.UPSTREAM_RESET, "it takes no streams at all"))

    def _go_without(self) -> None:
        if self._cluster.http is UpstreamHttp.UPGRADED:
            self._upstreams.dial_http1(self._cluster, self._endpoint, self._waiter)
            return
        if self._head.method != b"GET":
            text = "over HTTP/2 an upgrade can't keep its method, which is not GET"
        else:
            text = "the upstream does not take extended CONNECT (RFC 8441), as HTTP/2 needs for it"
        self._waiter.on_dial_error(ProxyError(Kind.NO_UPGRADE, text))
