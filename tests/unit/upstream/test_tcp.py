"""The upstream half of an opaque connection, before the other half listens."""

from __future__ import annotations

from meshproxy.base.addr import ServerAddr
from meshproxy.cluster.endpoints import Registry
from meshproxy.upstream.tcp import TcpClient
from tests.support.fakes import FakeTransport


class Sink:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_upstream_data(self, data: bytes) -> None:
        self.told.append(data)

    def on_upstream_eof(self) -> None:
        self.told.append("end")

    def on_upstream_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")

    def on_upstream_writable(self, writable: bool) -> None:
        self.told.append(writable)


def connected() -> FakeTransport:
    endpoint = Registry(10).state("shop", ServerAddr("10.0.0.1", 80))
    return FakeTransport().connect(TcpClient(endpoint, 65_536))


def test_what_came_before_is_told() -> None:
    server, sink = connected(), Sink()
    server.receive(b"hello")
    assert not server.reading
    server.protocol.eof_received()
    server.protocol.listen(sink)
    assert sink.told == [b"hello", "end"]


def test_who_writes_first_hears_that_the_buffer_is_full() -> None:
    """The client's first bytes may be more than the server takes."""
    server, sink = connected(), Sink()
    server.fill()
    server.protocol.listen(sink)
    assert sink.told == [False]
    server.empty()
    assert sink.told == [False, True]


def test_a_buffer_that_has_emptied_is_nothing_to_tell() -> None:
    server, sink = connected(), Sink()
    server.fill()
    server.empty()
    server.protocol.listen(sink)
    assert sink.told == []
