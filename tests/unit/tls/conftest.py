"""Two ends of a connection in memory, and secrets for them."""

from __future__ import annotations

from typing import Any

import pytest

from meshproxy.model.secret import WORKLOAD, Secret
from meshproxy.model.tls import DownstreamTls, TlsMode, UpstreamTls
from meshproxy.record import Secured
from meshproxy.tls.errors import TlsFailure
from meshproxy.tls.layer import TlsLayer
from meshproxy.tls.store import ClientSide, TlsStore
from tests.support.pki import Authority, Leaf

FRONT = "spiffe://cluster.local/ns/default/sa/front"
BACK = "spiffe://cluster.local/ns/default/sa/back"
MESH = UpstreamTls(TlsMode.ISTIO_MUTUAL, sni="outbound_.80_._.back", names=(BACK,))


def secret_of(leaf: Leaf, identity: str = "") -> Secret:
    return Secret(leaf.certificate, leaf.key, leaf.roots, leaf.crl, identity)


class Wire:
    """One direction's transport: what is written waits until the other end is told."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.peer: Wire
        self.sent: list[bytes] = []
        self.closing = False
        self.ended = False
        self.lost = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.sent.append(bytes(data))

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class App:
    """The protocol above a layer, and the owner of its handshake."""

    def __init__(self, check: Any = None, hurry: bytes = b"") -> None:
        self.check = check
        self.hurry = hurry
        self.reads: list[bytes] = []
        self.ended = False
        self.keep = True  # our half open after the peer's end
        self.gone = False
        self.lost: Exception | None = None
        self.failure: TlsFailure | None = None

    def on_secured(self, layer: TlsLayer) -> None:
        try:
            layer.secured = Secured() if self.check is None else self.check(layer.tls)
        except TlsFailure as failure:
            self.failure = failure
        else:
            layer.write(self.hurry)

    def on_handshake_failed(self, failure: TlsFailure) -> None:
        self.failure = failure

    def data_received(self, data: bytes) -> None:
        self.reads.append(data)

    def eof_received(self) -> bool:
        self.ended = True
        return self.keep

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone, self.lost = True, exc

    @property
    def said(self) -> bytes:
        return b"".join(self.reads)


class Pair:
    """A client and a server that talk through two `Wire`s. ``cut`` is the size of segments."""

    def __init__(
        self,
        server: TlsStore,
        side: ClientSide,
        caller: Any = None,
        called: Any = None,
        cut: int = 1 << 20,
        hurry: bytes = b"",
        own: DownstreamTls | None = None,
    ) -> None:
        """``hurry``: what the client says the moment that it may; ``own``: the server's port has
        TLS of its own."""
        self.cut = cut
        self.client_app, self.server_app = App(called, hurry), App(caller)
        self.client_wire, self.server_wire = Wire(), Wire()
        self.client_wire.peer, self.server_wire.peer = self.server_wire, self.client_wire
        self.client = TlsLayer(
            lambda i, o: side.wrap(i, o, "back:80", MESH.sni), self.client_app, self.client_app
        )
        answering = server.server(own)
        assert answering is not None
        self.server = TlsLayer(answering.wrap, self.server_app, self.server_app)
        self.client_wire.protocol, self.server_wire.protocol = self.client, self.server
        self.client.start(self.client_wire)
        self.server.start(self.server_wire)
        self.settle()

    def settle(self) -> None:
        """Carry bytes and ends until nothing moves."""
        moved = True
        while moved:
            moved = False
            for wire in (self.client_wire, self.server_wire):
                while wire.sent:
                    moved = True
                    data, wire.sent = b"".join(wire.sent), []
                    for at in range(0, len(data), self.cut):
                        if not wire.peer.closing:
                            wire.peer.protocol.data_received(data[at : at + self.cut])
                if (wire.ended or wire.closing) and not wire.lost:
                    wire.lost = moved = True
                    if not wire.peer.closing and not wire.peer.protocol.eof_received():
                        wire.peer.closing = True
                    if wire.closing:
                        wire.protocol.connection_lost(None)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority("cluster.local")


@pytest.fixture(scope="session")
def front(authority: Authority) -> Secret:
    return secret_of(authority.issue("default/front"), FRONT)


@pytest.fixture(scope="session")
def back(authority: Authority) -> Secret:
    return secret_of(authority.issue("default/back"), BACK)


def store_of(secret: Secret, wall: float = 0.0) -> TlsStore:
    store = TlsStore(lambda: wall)
    store.update({WORKLOAD: secret})
    return store
