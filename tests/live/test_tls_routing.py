"""TLS that is passed through, and routed by the name that its client asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.peers import Peer
from tests.support.servers import Server
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    plain,
    route_to,
    service,
    settings,
    workload,
)
from tests.unit.wire.test_client_hello import real_hello


def named(name: bytes) -> Server:
    """Answers what comes with its own name before it."""

    def behave(peer: Peer) -> None:
        while data := peer.sock.recv(65536):
            peer.sock.sendall(name + data)

    return Server(behave)


@dataclass(frozen=True)
class Place:
    proxy: Sidecar
    port: int

    def answer(self, hello: bytes, *pieces: int) -> bytes:
        """What comes back for these bytes, sent in pieces of these sizes."""
        with Peer.connect(self.port) as client:
            at = 0
            for size in (*pieces, len(hello)):
                client.send(hello[at : at + size])
                at += size
            got = client.more()
            while not got.endswith(hello[-10:]):
                got += client.more()
            return got


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    port = free_port()
    rule = {
        "hosts": ["a.example", "*.a.example", "one"],
        "tls": [
            {"match": [{"sniHosts": ["*.a.example"]}], "route": [route_to("two")]},
            {"match": [{"sniHosts": ["a.example"], "port": port}], "route": [route_to("one")]},
        ],
    }
    with named(b"one:") as one, named(b"two:") as two:
        text = config(
            me(),
            service("one", port, "tls"),
            service("two", port, "https"),
            workload("one-1", "one", {"tls": one.port}),
            workload("two-1", "two", {"https": two.port}),
            istio("VirtualService", "tls", rule),
            plain([(port, "TLS")]),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(text) as proxy:
            yield Place(proxy, port)


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("a.example", b"one:"),
        ("A.EXAMPLE", b"one:"),
        ("x.a.example", b"two:"),
        ("two.default.svc.cluster.local", b"two:"),
    ],
)
def test_by_name(place: Place, name: str, server: bytes) -> None:
    hello = real_hello(name, ["h2"])
    assert place.answer(hello) == server + hello


def test_a_hello_in_pieces(place: Place) -> None:
    hello = real_hello("x.a.example")
    answer = place.answer(hello, 1, 4, 1, 100)
    assert answer.replace(b"two:", b"") == hello


@pytest.mark.parametrize("data", [real_hello("b.example"), real_hello(None), b"GET / HTTP/1.1\r\n"])
def test_names_that_nobody_has_are_refused(place: Place, data: bytes) -> None:
    with Peer.connect(place.port) as client:
        client.send(data)
        assert client.ending() in ("end", "reset")
    assert place.proxy.metrics().value("istio_requests_total") == 0


def test_the_log_has_the_name(place: Place) -> None:
    place.answer(real_hello("logged.a.example"))
    assert "two.default" in place.proxy.access(" logged.a.example ")
