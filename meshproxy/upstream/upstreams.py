"""All of a worker's connections to upstreams: who may be used again, who must be dialled."""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from meshproxy.aio.outbox import Outbox
from meshproxy.aio.spawn import spawn
from meshproxy.aio.timers import Timers
from meshproxy.base.addr import Address, ServerAddr
from meshproxy.base.clock import SystemClock
from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.base.lookup import host_of
from meshproxy.cluster.endpoints import EndpointState, Registry, Told
from meshproxy.model.settings import Settings
from meshproxy.model.tls import TlsMode, UpstreamTls
from meshproxy.plan.plan import ClusterPlan
from meshproxy.tls.store import TlsStore
from meshproxy.upstream import alpn
from meshproxy.upstream.alpn import Alpn
from meshproxy.upstream.announce import Announce
from meshproxy.upstream.dial import dial
from meshproxy.upstream.http1 import Http1Client
from meshproxy.upstream.http2 import Http2Client
from meshproxy.upstream.keepalive import keep_alive
from meshproxy.upstream.secure import Securing, Wanted
from meshproxy.upstream.stream import UpstreamStream
from meshproxy.upstream.upgrading import Upgrading, speaks_http2
from meshproxy.upstream.waiter import Asker, Waiter
from meshproxy.upstream.waiting import NamesPromise, wait_for_names
from meshproxy.wire.codecs import MakeCodec, MakeReader
from meshproxy.wire.h1 import Reader
from meshproxy.wire.heads import RequestHead
from meshproxy.wire.proxy_protocol import Ends, write_header
from meshproxy.wire.upgrade import CONNECT

P = TypeVar("P", bound=asyncio.BaseProtocol)
Dialler = Callable[..., Awaitable[Any]]
"""As `upstream.dial.dial`."""

_SWEEP: Final = 0.5  # seconds between two looks at idle connections
# Seconds; connections that one client's address alone can use again are as many as clients.
_IDLE_FOR_ONE_CLIENT: Final = 60.0


class Upstreams:
    """``settings`` are those of the newest plan; connections are made by them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timers: Timers,
        outbox: Outbox,
        registry: Registry,
        settings: Settings,
        reader: MakeReader,
        http2: MakeCodec,
        dialler: Dialler = dial,
        store: TlsStore | None = None,
        tls_failed: Callable[[str, str], None] = lambda cluster, word: None,
        ping_timed_out: Callable[[str], None] = lambda cluster: None,
        rules_broken: Callable[[str, str], None] = lambda cluster, word: None,
    ) -> None:
        """``tls_failed`` is told of each handshake that could not be made, and a word for why;
        ``ping_timed_out`` of each HTTP/2 connection that was given up for its silence;
        ``rules_broken`` of what came that the protocol does not allow, and a word for it."""
        self.loop = loop
        self.outbox = outbox
        self.settings = settings
        self.timers = timers
        self._registry = registry
        self._reader = reader
        self._http2 = http2
        self._dialler = dialler
        self._tls_failed = tls_failed
        self.ping_timed_out = ping_timed_out
        self.rules_broken = rules_broken
        self.store = TlsStore(SystemClock().wall) if store is None else store
        # Where no rules have sent a connection: it was going nowhere but to us.
        self.plain: frozenset[Address] = frozenset()
        self._waiting: dict[EndpointState, deque[Waiter]] = {}  # for an HTTP/2 connection
        # By the client that they were opened for, which the PROXY protocol has told of.
        self._told_of: dict[Address, dict[EndpointState, None]] = {}
        timers.every(_SWEEP, self._sweep)

    def endpoint(
        self, cluster: ClusterPlan, original: Address, client: Address, asker: Asker
    ) -> EndpointState | None:
        """The endpoint for the next request of a client that was going to ``original``.

        None: DNS has not yet answered, and ``asker`` will be told. Raises `ProxyError` where there
        is none.
        """
        if cluster.refusal:
            raise ProxyError(Kind.UNSUPPORTED, cluster.refusal)
        known = cluster.at(original) if cluster.dynamic and cluster.states else None
        if cluster.dynamic and (known is not None or not cluster.states):
            if self.plain and original in self.plain:
                text = f"{cluster.name} goes where a connection was going: a plain port can't tell"
                raise ProxyError(Kind.NO_ENDPOINT, text)
            if cluster.keep_source:
                endpoint = self._registry.state(
                    cluster.name, ServerAddr(*original), client.ip, cluster.tls
                )
                endpoint.idle_timeout = min(cluster.idle_timeout, _IDLE_FOR_ONE_CLIENT)
            elif known is not None:
                endpoint = known
            else:
                tls = cluster.tls
                endpoint = self._registry.state(
                    cluster.name,
                    ServerAddr(*original),
                    "",
                    None if tls is None or tls.auto else tls,
                )
                endpoint.idle_timeout = cluster.idle_timeout
            if cluster.proxy_protocol:
                return self._told(cluster, endpoint, original, client)
            return endpoint
        picked = cluster.pick()
        if picked is None:
            names = cluster.names
            if names is None:
                raise ProxyError(Kind.NO_ENDPOINT, f"{cluster.name} has no endpoint")
            if not names.pending:
                raise ProxyError(Kind.DNS_FAILURE, names.fault)
            wait_for_names(self.timers, cluster, names, asker.on_names, asker.on_dial_error)
            return None
        if cluster.proxy_protocol:
            return self._told(cluster, picked, original, client)
        return picked

    def _told(
        self, cluster: ClusterPlan, endpoint: EndpointState, original: Address, client: Address
    ) -> EndpointState:
        """The same endpoint for one client's connection, where those to it begin by naming it."""
        told = Told(cluster.proxy_protocol, Ends(client, original))
        part = self._registry.part(endpoint, told)
        part.idle_timeout = min(cluster.idle_timeout, _IDLE_FOR_ONE_CLIENT)
        self._told_of.setdefault(client, {})[part] = None
        return part

    def forget_client(self, client: Address) -> None:
        """A client's connection is gone: nobody else can use those that were opened for it."""
        if self._told_of:
            self.close_idle(self._told_of.pop(client, ()))

    def for_host(self, endpoint: EndpointState, authority: bytes) -> EndpointState:
        """The same endpoint for one of several hosts: its connections are for that name alone."""
        tls = endpoint.tls
        if tls is None:
            return endpoint
        named = self._registry.state(
            endpoint.cluster,
            endpoint.address,
            endpoint.source,
            replace(tls, sni=host_of(authority)),
            endpoint.told,
        )
        named.whole = endpoint.whole
        named.idle_timeout = endpoint.idle_timeout
        named.peer = endpoint.peer
        return named

    async def endpoint_in_time(
        self, cluster: ClusterPlan, original: Address, client: Address
    ) -> EndpointState:
        """As `endpoint`, for who can wait for DNS."""
        while True:
            promise = NamesPromise(self.loop)
            endpoint = self.endpoint(cluster, original, client, promise)
            if endpoint is not None:
                return endpoint
            await promise.kept()

    def take(
        self, cluster: ClusterPlan, endpoint: EndpointState, head: RequestHead, careful: bool
    ) -> UpstreamStream | None:
        """A stream on an open connection, or None: one has to be dialled.

        ``careful``: the request could not be sent a second time, so that a connection is only used
        after a look whether the peer has closed it meanwhile.
        """
        if speaks_http2(cluster, head.version):
            client = _with_room(endpoint)
            if client is None or (head.upgrade and not client.takes(head)):
                return None
            return client.open_stream()
        return self._take_http1(endpoint, careful)

    def _take_http1(self, endpoint: EndpointState, careful: bool) -> UpstreamStream | None:
        while (connection := endpoint.pool.take()) is not None:
            assert isinstance(connection, Http1Client)
            if connection.usable and not (careful and _has_news(connection.fileno())):
                return connection
            connection.close()
        return None

    def dial(
        self, cluster: ClusterPlan, endpoint: EndpointState, head: RequestHead, waiter: Waiter
    ) -> None:
        """Open a connection that can carry the request, and tell the waiter."""
        if not speaks_http2(cluster, head.version):
            self._spawn(self._dial_http1(cluster, endpoint, waiter), endpoint)
            return
        if head.upgrade and head.upgrade != CONNECT:
            waiter = Upgrading(self, cluster, endpoint, head, waiter)
            client = _with_room(endpoint)
            if client is not None:
                waiter.on_stream(client.open_stream())
                return
        queue = self._waiting.get(endpoint)
        if queue is not None:
            queue.append(waiter)  # a connection that can carry both is on its way
            return
        self._waiting[endpoint] = deque([waiter])
        self._spawn(self._dial_http2(cluster, endpoint), endpoint)

    def dial_http1(self, cluster: ClusterPlan, endpoint: EndpointState, waiter: Waiter) -> None:
        """A connection of HTTP/1.1, whatever the cluster usually speaks."""
        connection = self._take_http1(endpoint, True)
        if connection is None:
            self._spawn(self._dial_http1(cluster, endpoint, waiter), endpoint)
        else:
            waiter.on_stream(connection)

    def _spawn(self, work: Coroutine[Any, Any, None], endpoint: EndpointState) -> None:
        endpoint.pool.open += 1
        spawn(self.loop, work, f"dial {endpoint.address}")

    async def _dial_http1(
        self, cluster: ClusterPlan, endpoint: EndpointState, waiter: Waiter
    ) -> None:
        try:
            client = await self.connect(
                cluster,
                endpoint,
                lambda: Http1Client(self, endpoint, self._new_reader()),
                alpn.HTTP1,
            )
        except ProxyError as error:
            waiter.on_dial_error(error)
            return
        if not waiter.on_stream(client):
            self.put_back(endpoint, client)

    async def _dial_http2(self, cluster: ClusterPlan, endpoint: EndpointState) -> None:
        try:
            client = await self.connect(
                cluster,
                endpoint,
                lambda: Http2Client(self, endpoint, self._http2(True, self.settings)),
                alpn.HTTP2,
            )
        except ProxyError as error:
            for waiter in self._waiting.pop(endpoint):
                waiter.on_dial_error(error)
            return
        if not client.closed and not client.leaving:
            endpoint.pool.shared.append(client)
        queue = self._waiting[endpoint]
        # Where it takes nobody each one hears why, and no connections are made for ever.
        to_tell = 0 if client.has_room else len(queue)
        while queue and (client.has_room or to_tell > 0):
            to_tell -= 1
            queue.popleft().on_stream(client.open_stream())
        if queue:
            self._spawn(self._dial_http2(cluster, endpoint), endpoint)
        else:
            del self._waiting[endpoint]

    async def connect(
        self,
        cluster: ClusterPlan,
        endpoint: EndpointState,
        factory: Callable[[], P],
        protocols: Alpn = alpn.TCP,
    ) -> P:
        """A new connection to the endpoint, from its client's or the cluster's source address, and
        secured as the endpoint is to be spoken to; `ProxyError`."""
        endpoint.connects += 1
        securing = None
        try:
            if endpoint.tls is not None:
                securing = self._secure(cluster, endpoint, endpoint.tls, factory, protocols)
            deadline = self.loop.time() + cluster.connect_timeout
            first: Callable[[], Any] = factory if securing is None else securing.layer
            told, announce = endpoint.told, None
            if told is not None:
                announce = Announce(write_header(told.version, told.ends), first)
            protocol: P = await self._dialler(
                self.loop,
                first if announce is None else lambda: announce,
                endpoint.address,
                cluster.connect_timeout,
                endpoint.source or cluster.source_for(endpoint.address),
                bool(endpoint.source),
            )
            if announce is not None:
                protocol = announce.protocol
            if securing is not None:
                protocol = await securing.done(deadline if cluster.connect_timeout else 0.0)
            if cluster.keepalive is not None:
                keep_alive(protocol, cluster.keepalive)
            return protocol
        except ProxyError:
            endpoint.pool.open -= 1
            endpoint.connect_failures += 1
            raise

    def _secure(
        self,
        cluster: ClusterPlan,
        endpoint: EndpointState,
        tls: UpstreamTls,
        factory: Callable[[], P],
        protocols: Alpn,
    ) -> Securing[P]:
        mesh = tls.mode is TlsMode.ISTIO_MUTUAL
        if mesh and not tls.names:
            text = f"no identity is known that {cluster.name} may have"
            raise ProxyError(Kind.CONNECT_FAILURE, text, Side.US)
        name = tls.sni or ("" if mesh else cluster.model.service.host)
        if name.startswith("*"):
            text = f"nothing says which name of {name} to ask for by SNI (DestinationRule tls.sni)"
            raise ProxyError(Kind.CONNECT_FAILURE, text, Side.US)
        side = self.store.client(tls, protocols.mesh if mesh else protocols.other)
        # In a resumed session nobody compares the name again, so it is one for that name alone.
        server = f"{endpoint.address} {name}"
        return Securing(
            self.loop,
            factory,
            Wanted(tls, side, name, server, self.store.own),
            self.store.faces,
            partial(self._tls_failed, cluster.name),
        )

    def _new_reader(self) -> Reader:
        settings = self.settings
        return self._reader(settings.max_response_headers_bytes, settings.max_response_headers)

    def put_back(self, endpoint: EndpointState, client: Http1Client) -> None:
        """The connection has finished its request, or was not wanted after all."""
        client.idle_since = self.loop.time()
        surplus = endpoint.pool.put(client)
        if surplus is not None:
            surplus.close()

    def close_idle(self, endpoints: Iterable[EndpointState] | None = None) -> None:
        for endpoint in self._registry if endpoints is None else endpoints:
            for connection in endpoint.pool.drain():
                connection.close()
            for shared in list(endpoint.pool.shared):
                if not shared.streams:
                    shared.close()

    def _sweep(self) -> None:
        now = self.loop.time()
        self.close_idle(endpoint for endpoint in self._registry if endpoint.gone)
        for endpoint in self._registry:
            before = now - endpoint.idle_timeout
            for connection in endpoint.pool.expired(before):
                connection.close()
            for shared in endpoint.pool.shared:
                shared.relax()
                if not shared.streams and shared.idle_since < before:
                    shared.close()
        self._registry.sweep()


def _with_room(endpoint: EndpointState) -> Http2Client | None:
    """An open connection that takes another stream."""
    return next((shared for shared in endpoint.pool.shared if shared.has_room), None)


def _has_news(fileno: int) -> bool:
    """Whether the peer has sent or closed something that the loop has not yet seen."""
    if fileno < 0:
        return True
    poll = select.poll()
    poll.register(fileno, select.POLLIN | select.POLLRDHUP)
    return bool(poll.poll(0))
