"""The first protocol of every downstream connection: where was it going, and what does it speak?

It finds the chain for the original destination, refuses what may not enter, ends the mesh's mutual
TLS, and hands the connection on: at once where the port's protocol is declared opaque, with the
client's first bytes where it is HTTP, and else after looking at who speaks first and how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meshproxy.aio.reset import reset
from meshproxy.aio.timers import Timer
from meshproxy.base.addr import Address
from meshproxy.model.listener import Application
from meshproxy.plan.plan import ChainPlan
from meshproxy.record import NO_ADDRESS, Secured
from meshproxy.serve import probe
from meshproxy.serve.http1 import Http1Server
from meshproxy.serve.http2 import Http2Server
from meshproxy.serve.linger import Discard
from meshproxy.serve.proxy_header import ask_whose
from meshproxy.serve.serving import GRACE, Serving, address_of
from meshproxy.serve.tcp import TcpServer
from meshproxy.serve.visit import Visit
from meshproxy.tls.errors import TlsFailure
from meshproxy.tls.layer import TlsLayer
from meshproxy.tls.store import ServerSide
from meshproxy.wire.client_hello import ClientHelloReader
from meshproxy.wire.proxy_protocol import Ends
from meshproxy.wire.sniff import PREFACE, Sniffed, sniff

FindDestination = Callable[[asyncio.Transport], Address | None]
"""Where a connection was going; None where it came straight to us."""

_TLS = b"\x16\x03"  # a handshake record (RFC 8446 section 5.1)
# What clients in the mesh offer by ALPN when they mean us, and not the app's own TLS (Istio).
_MESH = b"istio"
_MESH_HTTP = (b"istio-http/", b"istio-h2", b"http/1.", b"h2")


class Gate(asyncio.Protocol):
    """``find`` tells the original destination of a captured connection; None: a plain listener."""

    def __init__(self, serving: Serving, listener: str, find: FindDestination | None) -> None:
        self._serving = serving
        self.listener = listener
        self._find = find
        self._transport: asyncio.Transport
        self._chain: ChainPlan
        self._client = self._local = NO_ADDRESS
        self._direct: Address | None = None  # who has told of the client
        self._since = serving.now()
        self._data = b""
        self._admitted = False
        self._telling = False  # whether it is mutual TLS is not known yet
        self._securing = False  # the handshake is going on
        self._side: ServerSide | None = None
        self._secured: Secured | None = None
        self._http_promised = False  # by ALPN
        self._hello: ClientHelloReader | None = None  # where a TLS client says what it wants
        self._tcp: TcpServer | None = None  # dialled while nobody speaks
        self._timer: Timer | None = None

    # The transport calls these.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._client = address_of(transport.get_extra_info("peername"))
        if not self._client.ip:  # reset while it waited to be accepted: there is nobody
            transport.abort()
            return
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
        self._telling = chain.ends_tls
        self._admitted = self._admit()
        if self._admitted and chain.expect is None:
            self._begin()
        elif self._admitted:
            ask_whose(self._serving, chain, transport, self, self._client, local)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        self._data += data
        if self._hello is not None:
            self._read_hello(data)
        elif self._telling:
            self._tell_apart()
        else:
            self._judge()

    def eof_received(self) -> bool:
        if (
            not self._admitted
            or self._securing
            or (self._chain.refuse_plaintext and self._secured is None)
        ):
            return False
        if self._chain.application is not Application.HTTP:
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
        if chain.refuse_plaintext and not chain.ends_tls:
            self._refuse("plaintext", chain.refuse_plaintext)
            return False
        if not serving.limits.connection_opened(chain.settings.max_connections):
            count = "meshproxy_connections_refused_total"
            serving.count(count, self.listener, "max_connections")
            reset(self._transport)
            return False
        return True

    def _refuse(self, word: str, reason: str) -> None:
        self._leave()
        self._serving.turn_away(
            self._transport, self.listener, self._client, self._local, word, reason
        )

    def on_told(self, ends: Ends | None, rest: bytes) -> None:
        """Whose connection it is, where others may say so (`serve/proxy_header.py`)."""
        if ends is not None:
            self._direct, self._client = self._client, ends.source
        self._transport.set_protocol(self)
        self._begin()
        if rest:
            self._transport.get_protocol().data_received(rest)  # type: ignore[attr-defined]

    def on_untold(self, word: str, reason: str) -> None:
        self._refuse(word, reason)

    def _begin(self) -> None:
        """Wait for what the client says, unless that does not matter."""
        chain = self._chain
        if chain.application is Application.TCP and not self._telling:
            if not chain.by_name:
                self._hand_to_tcp()
                return
            self._hello = ClientHelloReader(chain.settings.max_client_hello_bytes)
        self._serving.connections.add(self)
        if chain.application is not Application.HTTP and self._hello is None:
            self._wait_for_silence()

    def _wait_for_silence(self) -> None:
        if not self._chain.refuse_plaintext or self._secured is not None:
            settings = self._chain.settings
            self._timer = self._serving.timers.after(settings.detect_timeout, self._on_silence)

    # Whether it is mutual TLS.

    def _tell_apart(self) -> None:
        data = self._data
        if data.startswith(_TLS):
            self._hello = ClientHelloReader(self._chain.settings.max_client_hello_bytes)
            self._read_hello(data)
        elif not _TLS.startswith(data):
            self._telling = False
            if self._chain.refuse_plaintext:
                self._refuse("plaintext", self._chain.refuse_plaintext)
            else:
                self._judge()

    def _read_hello(self, data: bytes) -> None:
        """In TLS the client speaks first: nothing is dialled before its hello is here."""
        hello = self._hello
        assert hello is not None
        if not hello.feed(data):
            if self._timer is None:
                limit = self._chain.settings.detect_limit
                self._timer = self._serving.timers.after(limit, self._on_limit)
        elif self._telling and (self._chain.refuse_plaintext or _means_us(hello.protocols)):
            self._secure(hello)
        else:
            self._hand_to_tcp()

    def _secure(self, hello: ClientHelloReader) -> None:
        """End the TLS here: the mesh's own, or any where nothing else may enter."""
        serving, settings = self._serving, self._chain.settings
        self._telling = False
        side = self._side = serving.store.server(self._chain.tls)
        if side is None:
            self._refuse("no_certificate_here", "this sidecar has no certificate to show")
            return
        if serving.handshakes >= settings.max_tls_handshakes:
            self._refuse("max_tls_handshakes", f"{serving.handshakes} handshakes are going on")
            return
        self._drop_tcp()
        self._stop_timer()
        self._http_promised = any(name.startswith(_MESH_HTTP) for name in hello.protocols)
        self._securing = True
        serving.handshakes += 1
        self._timer = serving.timers.after(settings.tls_handshake_timeout, self._on_slow_handshake)
        data, self._data = self._data, b""
        layer = TlsLayer(side.wrap, self, self)
        self._transport.set_protocol(layer)  # type: ignore[arg-type]
        layer.start(self._transport, data)

    def on_secured(self, layer: TlsLayer) -> None:
        hello = self._hello
        assert hello is not None
        self._end_handshake()
        self._hello = None
        serving = self._serving
        try:
            layer.secured = self._secured = self._who(layer, hello.name)
        except TlsFailure as failure:
            self.on_handshake_failed(failure)
            return
        self._transport = layer
        self._since = serving.now()
        if self._chain.application is Application.TCP:
            self._hand_to_tcp()
        elif self._chain.application is Application.DETECT:
            if _MESH in hello.protocols and not self._http_promised:
                self._hand_to_tcp()
            elif not self._http_promised:
                self._wait_for_silence()

    def _who(self, layer: TlsLayer, name: str) -> Secured:
        """Who calls; `TlsFailure` if it is nobody who may."""
        side, own, faces = self._side, self._chain.tls, self._serving.faces
        assert side is not None
        if own is not None:
            return faces.client(layer.tls, own.mode, side.own, name)
        domains = self._serving.plans.current.trust_domains
        return faces.caller(layer.tls, side.own, name, domains)

    def on_handshake_failed(self, failure: TlsFailure) -> None:
        """The alert has been written; stay until the client has read it."""
        self._end_handshake()
        serving, transport = self._serving, self._transport
        serving.refused(self.listener, self._client, self._local, failure.word, failure.reason)
        self._leave()
        if transport.is_closing():
            return
        transport.write_eof()
        transport.set_protocol(
            Discard(serving.timers, self._chain.settings.linger, transport, self.connection_lost)
        )

    def _end_handshake(self) -> None:
        if self._securing:
            self._securing = False
            self._serving.handshakes -= 1
            self._stop_timer()

    def _on_slow_handshake(self) -> None:
        seconds = self._chain.settings.tls_handshake_timeout
        self.on_handshake_failed(TlsFailure("timeout", f"no handshake within {seconds:g} s"))

    # Deciding.

    def _judge(self) -> None:
        data = self._data
        if self._chain.application is Application.HTTP or self._http_promised:
            if len(data) < len(PREFACE) and PREFACE.startswith(data):
                return
            self._hand_to_http(data.startswith(PREFACE))
        elif self._chain.application is Application.TCP:
            self._hand_to_tcp()
        else:
            self._judge_by(sniff(data))

    def _judge_by(self, sniffed: Sniffed) -> None:
        match sniffed:
            case Sniffed.HTTP1:
                self._hand_to_http(False)
            case Sniffed.HTTP2:
                self._hand_to_http(True)
            case Sniffed.MORE:
                pass  # `_on_limit` ends this
            case Sniffed.TLS if self._chain.by_name:
                # If dialled while nobody spoke: the name may lead elsewhere.
                self._drop_tcp()
                self._hello = ClientHelloReader(self._chain.settings.max_client_hello_bytes)
                self._read_hello(self._data)
            case _:
                self._hand_to_tcp()

    def _on_silence(self) -> None:
        """Perhaps it is the server who speaks first: find out, on the connection to be used."""
        settings = self._chain.settings
        if not self._data and self._tcp is None:
            self._tcp = self._new_tcp()
            self._tcp.start_quietly(self._leave)
        self._timer = self._serving.timers.after(settings.detect_limit, self._on_limit)

    def _on_limit(self) -> None:
        if not self._data:
            return
        if self._telling and self._chain.refuse_plaintext:
            self._refuse("tls_timeout", "no complete ClientHello in time")
        else:
            self._hand_to_tcp()

    def _hand_to_http(self, http2: bool) -> None:
        self._leave()
        self._drop_tcp()
        server = (Http2Server if http2 else Http1Server)(self._visit())
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
        return TcpServer(self._visit(), self._transport)

    def _visit(self) -> Visit:
        return Visit(
            self._serving,
            self._chain,
            self.listener,
            self._client,
            self._local,
            self._secured,
            self._direct,
        )

    def _drop_tcp(self) -> None:
        if self._tcp is not None:
            self._tcp.abandon()
            self._tcp = None

    def _leave(self) -> None:
        self._serving.connections.discard(self)
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # The worker calls these.

    @property
    def busy(self) -> bool:
        return bool(self._data) or self._securing or self._serving.now() - self._since <= GRACE

    def check(self, now: float) -> None:
        settings = self._chain.settings
        waited = now - self._since
        limit = settings.header_timeout if self._data else settings.downstream_idle_timeout
        if self._telling and self._chain.refuse_plaintext:
            limit = settings.tls_handshake_timeout  # nothing else is waited for
        if waited > limit:
            self._transport.close()

    def still_admitted(self) -> bool:
        """Who has not asked for anything yet is judged when it does."""
        return True

    def drain(self) -> None:
        if not self.busy:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


def _means_us(protocols: tuple[bytes, ...]) -> bool:
    return any(name.startswith(_MESH) for name in protocols)
