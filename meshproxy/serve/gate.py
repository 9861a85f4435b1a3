"""The first protocol of every downstream connection: where was it going, and what does it speak?

It finds the chain for the original destination, refuses what may not enter, and hands the
connection on: at once where the port's protocol is declared opaque, with the client's first bytes
where it is HTTP, and else after looking at who speaks first and how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meshproxy.aio.timers import Timer
from meshproxy.base.addr import Address
from meshproxy.model.listener import Application
from meshproxy.plan.plan import ChainPlan
from meshproxy.record import NO_ADDRESS
from meshproxy.serve import probe
from meshproxy.serve.http1 import Http1Server
from meshproxy.serve.http2 import Http2Server
from meshproxy.serve.reset import reset
from meshproxy.serve.serving import GRACE, Serving, address_of
from meshproxy.serve.tcp import TcpServer
from meshproxy.wire.client_hello import ClientHelloReader
from meshproxy.wire.sniff import PREFACE, Sniffed, sniff

FindDestination = Callable[[asyncio.Transport], Address | None]
"""Where a connection was going; None where it came straight to us."""


class Gate(asyncio.Protocol):
    """``find`` tells the original destination of a captured connection; None: a plain listener."""

    def __init__(self, serving: Serving, listener: str, find: FindDestination | None) -> None:
        self._serving = serving
        self.listener = listener
        self._find = find
        self._transport: asyncio.Transport
        self._chain: ChainPlan
        self._client = self._local = NO_ADDRESS
        self._since = serving.now()
        self._data = b""
        self._admitted = False
        self._hello: ClientHelloReader | None = None  # where TLS is told apart by its name
        self._tcp: TcpServer | None = None  # dialled while nobody speaks
        self._timer: Timer | None = None

    # The transport calls these.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._client = address_of(transport.get_extra_info("peername"))
        local = self._destination()
        if local in probe.TARGETS and self._find is not None:
            transport.write(probe.ANSWER)
            transport.close()
            return
        chain = None if local is None else self._serving.plans.current.chain(self.listener, local)
        if local is None or chain is None:
            self._serving.count("meshproxy_direct_connections_total", self.listener)
            transport.abort()
            return
        self._local, self._chain = local, chain
        self._admitted = self._admit()
        if self._admitted:
            self._begin()

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        self._data += data
        if self._hello is not None:
            self._read_name(data)
        elif self._chain.application is Application.HTTP:
            if len(self._data) < len(PREFACE) and PREFACE.startswith(self._data):
                return
            self._hand_to_http(self._data.startswith(PREFACE))
        else:
            self._judge(sniff(self._data))

    def eof_received(self) -> bool:
        if self._admitted and self._chain.application is not Application.HTTP:
            # Nothing said and already ended: an opaque protocol's way to see whether we are there.
            self._hand_to_tcp()
            assert self._tcp is not None
            return self._tcp.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._admitted:
            self._leave()
            self._serving.limits.connection_closed()
            if self._tcp is not None:
                self._tcp.abandon()

    # Coming in.

    def _destination(self) -> Address | None:
        if self._find is not None:
            return self._find(self._transport)
        return address_of(self._transport.get_extra_info("sockname"))

    def _admit(self) -> bool:
        """Whether the connection may enter; if not it has been closed, counted and logged."""
        serving, chain = self._serving, self._chain
        if chain.refuse_plaintext:
            serving.turn_away(self._transport, chain, self._client, self._local)
            return False
        if not serving.limits.connection_opened(chain.settings.max_connections):
            count = "meshproxy_connections_refused_total"
            serving.count(count, self.listener, "max_connections")
            reset(self._transport)
            return False
        return True

    def _begin(self) -> None:
        application = self._chain.application
        if application is Application.TCP:
            if not self._chain.by_name:
                self._hand_to_tcp()
                return
            self._hello = ClientHelloReader(self._chain.settings.max_client_hello_bytes)
        self._serving.connections.add(self)
        if application is Application.DETECT:
            settings = self._chain.settings
            self._timer = self._serving.timers.after(settings.detect_timeout, self._on_silence)

    # Deciding.

    def _judge(self, sniffed: Sniffed) -> None:
        match sniffed:
            case Sniffed.HTTP1:
                self._hand_to_http(False)
            case Sniffed.HTTP2:
                self._hand_to_http(True)
            case Sniffed.MORE:
                pass  # `_on_limit` ends this
            case Sniffed.TLS if self._chain.by_name:
                if self._tcp is not None:
                    # Dialled while nobody spoke; the name may lead elsewhere.
                    self._tcp.abandon()
                    self._tcp = None
                self._hello = ClientHelloReader(self._chain.settings.max_client_hello_bytes)
                self._read_name(self._data)
            case _:
                self._hand_to_tcp()

    def _read_name(self, data: bytes) -> None:
        """In TLS the client speaks first: nothing is dialled before its hello is here."""
        assert self._hello is not None
        if self._hello.feed(data):
            self._hand_to_tcp()
        elif self._timer is None:
            limit = self._chain.settings.detect_limit
            self._timer = self._serving.timers.after(limit, self._on_limit)

    def _on_silence(self) -> None:
        """Perhaps it is the server who speaks first: find out, on the connection to be used."""
        settings = self._chain.settings
        if not self._data and self._tcp is None:
            self._tcp = self._new_tcp()
            self._tcp.start_quietly(self._leave)
        self._timer = self._serving.timers.after(settings.detect_limit, self._on_limit)

    def _on_limit(self) -> None:
        if self._data:
            self._hand_to_tcp()

    def _hand_to_http(self, http2: bool) -> None:
        self._leave()
        if self._tcp is not None:
            self._tcp.abandon()
        server = (Http2Server if http2 else Http1Server)(
            self._serving, self._chain, self.listener, self._client, self._local
        )
        self._transport.set_protocol(server)
        server.connection_made(self._transport)
        server.data_received(self._data)

    def _hand_to_tcp(self) -> None:
        self._leave()
        if self._tcp is None:
            self._tcp = self._new_tcp()
            self._tcp.start_for(self._hello.name if self._hello is not None else "")
        self._tcp.take_over(self._data)

    def _new_tcp(self) -> TcpServer:
        return TcpServer(self._serving, self._chain, self._client, self._local, self._transport)

    def _leave(self) -> None:
        self._serving.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    # The worker calls these.

    @property
    def busy(self) -> bool:
        return bool(self._data) or self._serving.now() - self._since <= GRACE

    def check(self, now: float) -> None:
        settings = self._chain.settings
        waited = now - self._since
        limit = settings.header_timeout if self._data else settings.downstream_idle_timeout
        if waited > limit:
            self._transport.close()

    def drain(self) -> None:
        if not self.busy:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
