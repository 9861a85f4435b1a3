"""A connection of ours on its way through the TLS handshake."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from meshproxy.base.errors import Kind, ProxyError, Retry
from meshproxy.model.tls import UpstreamTls
from meshproxy.tls.errors import TlsFailure
from meshproxy.tls.layer import TlsLayer
from meshproxy.tls.peer import Faces
from meshproxy.tls.store import ClientSide

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Wanted(NamedTuple):
    """How, and with whom. ``server_name`` is for SNI; ``server`` names whose sessions to resume."""

    tls: UpstreamTls
    side: ClientSide
    server_name: str
    server: str
    own: str


class Securing(Generic[P]):
    """Owner of the handshake; ``factory``'s protocol is connected once the peer is known."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        factory: Callable[[], P],
        wanted: Wanted,
        faces: Faces,
    ) -> None:
        self._loop = loop
        self._factory = factory
        self._wanted = wanted
        self._faces = faces
        self._layer: TlsLayer | None = None
        self._done: asyncio.Future[P] = loop.create_future()

    def layer(self) -> TlsLayer:
        """The protocol for the transport."""
        self._layer = TlsLayer(self._wrap, self, self)
        return self._layer

    async def done(self, deadline: float) -> P:
        """The connected protocol. ``deadline`` is the loop's time, 0 for none; `ProxyError`."""
        try:
            async with asyncio.timeout_at(deadline or None):
                return await self._done
        except TimeoutError:
            text = "TLS: no handshake in time"
            raise ProxyError(Kind.CONNECT_TIMEOUT, text, retry=Retry.ALWAYS) from None
        finally:
            if self._layer is not None and (self._done.cancelled() or self._done.exception()):
                self._layer.abort()

    def _wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        wanted = self._wanted
        return wanted.side.wrap(incoming, outgoing, wanted.server, wanted.server_name)

    # The layer calls these.

    def on_secured(self, layer: TlsLayer) -> None:
        wanted = self._wanted
        try:
            layer.secured = self._faces.server(
                layer.tls, wanted.tls, wanted.own, wanted.server_name
            )
        except TlsFailure as failure:
            self.on_handshake_failed(failure)
            return
        if not layer.tls.session_reused:
            layer.after_first_read = self._keep_session
        protocol = self._factory()
        layer.set_protocol(protocol)
        protocol.connection_made(layer)
        if not self._done.done():
            self._done.set_result(protocol)

    def on_handshake_failed(self, failure: TlsFailure) -> None:
        self._wanted.side.forget_session(self._wanted.server)
        if not self._done.done():
            text = f"TLS: {failure.reason}"
            self._done.set_exception(ProxyError(Kind.CONNECT_FAILURE, text, retry=Retry.ALWAYS))

    def _keep_session(self) -> None:
        assert self._layer is not None
        self._wanted.side.keep_session(self._wanted.server, self._layer.tls)

    def connection_lost(self, exc: Any) -> None:
        """Before the protocol was connected: `on_handshake_failed` has said why."""
