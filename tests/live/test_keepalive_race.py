"""Connections that a server closes while they idle: what is lost, and what is sent again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.peers import Message, Peer, ask, request, wait_until
from tests.support.servers import App, Server, answer
from tests.support.sidecar import (
    CODECS,
    Sidecar,
    config,
    free_port,
    istio,
    me,
    plain,
    service,
    settings,
    workload,
)


class Racer:
    """Answers the first request of each connection; what it does with the next one is given.

    ``seen`` are the methods of the requests that came to it, by connection.
    """

    def __init__(self, then: Callable[[Peer], None]) -> None:
        self.seen: list[list[str]] = []
        self._then = then
        self.closed = threading.Event()

    def __call__(self, peer: Peer) -> None:
        mine: list[str] = []
        self.seen.append(mine)
        mine.append(peer.request().method)
        peer.send(answer(200, f"connection {len(self.seen)}".encode()))
        self._then(peer)
        self.closed.set()


def closes_on_reuse(racer: list[Racer]) -> Callable[[Peer], None]:
    """Reads the next request and closes, as if it had closed before the request came."""

    def then(peer: Peer) -> None:
        racer[0].seen[-1].append(peer.request().method)

    return then


def resets_on_reuse(racer: list[Racer]) -> Callable[[Peer], None]:
    def then(peer: Peer) -> None:
        racer[0].seen[-1].append(peer.request().method)
        peer.reset()

    return then


def half_an_answer_on_reuse(racer: list[Racer]) -> Callable[[Peer], None]:
    def then(peer: Peer) -> None:
        racer[0].seen[-1].append(peer.request().method)
        peer.send("HTTP/1.1 200")

    return then


class Slot:
    """A service with a server of its own, whose behaviour a test decides."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.behave: Callable[[Peer], None] = lambda peer: None
        self.server = Server(lambda peer: self.behave(peer))


class Track:
    """One sidecar with many services; each test takes a fresh one."""

    def __init__(self, proxy: Sidecar, port: int, slots: list[Slot]) -> None:
        self.proxy = proxy
        self.port = port
        self._slots = iter(slots)

    def take(self, behave: Callable[[Peer], None]) -> Callable[..., Message]:
        """Put a server of this behaviour in place; a function that asks it."""
        slot = next(self._slots)
        slot.behave = behave
        return lambda path="/", method="GET", body=b"": ask(
            self.port, path, method, slot.name, body=body
        )

    def resends(self) -> float:
        return self.proxy.metrics().value("meshproxy_request_resends_total")


@pytest.fixture(scope="module", params=CODECS)
def track(request: pytest.FixtureRequest) -> Iterator[Track]:
    port = free_port()
    slots = [Slot(f"slot{at}") for at in range(40)]
    text = config(
        me(),
        *(service(slot.name, port) for slot in slots),
        *(workload(f"{slot.name}-1", slot.name, {"http": slot.server.port}) for slot in slots),
        plain([(port, "HTTP")]),
        settings(accessLogFlush="20ms"),
    )
    try:
        with Sidecar(text, codec=request.param) as proxy:
            yield Track(proxy, port, slots)
    finally:
        for slot in slots:
            slot.server.close()


def race(make: Callable[[list[Racer]], Callable[[Peer], None]]) -> Racer:
    holder: list[Racer] = []
    holder.append(Racer(make(holder)))
    return holder[0]


Make = Callable[[list[Racer]], Callable[[Peer], None]]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("make", [closes_on_reuse, resets_on_reuse])
def test_what_may_be_sent_twice_is_sent_again(track: Track, method: str, make: Make) -> None:
    """The caller never hears of the race."""
    racer = race(make)
    call = track.take(racer)
    before = track.resends()
    assert call().text == "connection 1"
    path = f"/?again-{method}-{make.__name__}"
    assert call(path, method).status == 200
    assert racer.seen == [["GET", method], [method]]
    assert track.resends() == before + 1
    assert " 200 - via_upstream " in track.proxy.access(path)


@pytest.mark.parametrize("body", [b"", b"data"])
@pytest.mark.parametrize("make", [closes_on_reuse, resets_on_reuse])
def test_what_may_not_be_sent_twice_is_not(track: Track, body: bytes, make: Make) -> None:
    """The server may have acted on it: 503 is the truth."""
    racer = race(make)
    call = track.take(racer)
    before = track.resends()
    assert call().text == "connection 1"
    assert call("/?once", "POST", body).status == 503
    assert racer.seen == [["GET", "POST"]]
    assert track.resends() == before


def test_a_get_with_a_body_is_not_sent_twice(track: Track) -> None:
    """The body has gone: it was passed on as it came."""
    racer = race(closes_on_reuse)
    call = track.take(racer)
    assert call().text == "connection 1"
    assert call("/", "GET", b"unusual").status == 503
    assert racer.seen == [["GET", "GET"]]


def test_nothing_is_sent_again_after_a_byte_has_come_back(track: Track) -> None:
    racer = race(half_an_answer_on_reuse)
    call = track.take(racer)
    assert call().text == "connection 1"
    assert call().status == 503
    assert racer.seen == [["GET", "GET"]]


def test_nothing_is_sent_again_on_a_fresh_connection(track: Track) -> None:
    """That is no race: the server closes because of the request."""
    asked: list[str] = []
    call = track.take(lambda peer: asked.append(peer.request().method))
    assert call().status == 503
    assert asked == ["GET"]


def test_a_server_that_closes_each_connection_at_its_second_request(track: Track) -> None:
    call = track.take(race(closes_on_reuse))
    assert [call().status for _ in range(10)] == [200] * 10


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_close_that_was_visible_costs_nothing(track: Track, method: str) -> None:
    """An end that came before the request is noticed, and the request goes out elsewhere: even one
    that may not be sent twice does not fail for it."""
    racer = race(lambda _: lambda peer: peer.end() and None)
    call = track.take(racer)
    for at in range(1, 21):
        racer.closed.clear()
        assert call("/", method).text == f"connection {at}"
        # The FIN has been sent; whether the program has looked at it yet is its own affair.
        assert racer.closed.wait(5)


def test_an_answer_to_nothing_ends_the_connection(track: Track) -> None:
    """What comes on an idle connection must not become the answer to the next request."""

    def behave(peer: Peer) -> None:
        peer.request()
        peer.send(answer(200, b"mine"))
        peer.send(answer(200, b"for nobody"))
        while True:
            peer.request()
            peer.send(answer(200, b"poisoned"))

    call = track.take(behave)
    for _ in range(5):
        assert call().text == "mine"
        time.sleep(0.05)


def test_more_bytes_than_the_length_end_the_connection(track: Track) -> None:
    """An answer followed by another one in the same segment."""

    def behave(peer: Peer) -> None:
        peer.request()
        peer.send(answer(200, b"mine") + answer(200, b"for nobody"))
        peer.request()
        peer.send(answer(200, b"poisoned"))

    call = track.take(behave)
    assert [call().text for _ in range(5)] == ["mine"] * 5


# Idle times.


def test_idle_connections_to_the_app_end_after_3_seconds() -> None:
    """Under what common servers allow, so that it is the sidecar who ends them."""
    outbound, inbound = free_port(), free_port()
    with App() as local, App() as remote:
        text = config(
            me(),
            service("app", outbound),
            workload("app-1", "app", {"http": remote.port}),
            plain([(outbound, "HTTP")], [(inbound, "HTTP", local.port)]),
        )
        with Sidecar(text), Peer.connect(inbound) as kept:
            assert kept.ask().status == 200
            assert ask(outbound).status == 200
            begun = time.monotonic()
            wait_until(lambda: local.open == 0, "the idle connection to end", patience=5)
            assert time.monotonic() - begun > 2.5
            assert remote.open == 1, "towards others the default is an hour"
            assert kept.ask().status == 200, "the caller's connection is another matter"


def test_idle_times_can_be_set() -> None:
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            istio(
                "DestinationRule",
                "app",
                {
                    "host": "app",
                    "trafficPolicy": {"connectionPool": {"http": {"idleTimeout": "1s"}}},
                },
            ),
            plain([(port, "HTTP")]),
        )
        with Sidecar(text):
            assert ask(port).status == 200
            assert app.open == 1
            begun = time.monotonic()
            wait_until(lambda: app.open == 0, "the idle connection to end", patience=3)
            assert time.monotonic() - begun > 0.5


def test_a_client_connection_that_idles_too_long_ends() -> None:
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            plain([(port, "HTTP")]),
            settings(downstreamIdleTimeout="500ms"),
        )
        with Sidecar(text), Peer.connect(port) as client:
            assert client.ask().status == 200
            assert client.ending() == "end"
            with Peer.connect(port) as silent_one:
                assert silent_one.ending() == "end"


def test_no_idle_time_in_the_middle_of_a_request() -> None:
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            plain([(port, "HTTP")]),
            settings(downstreamIdleTimeout="300ms", upstreamIdleTimeout="300ms"),
        )
        with Sidecar(text), Peer.connect(port) as client:
            client.send(request("POST", "/slow?ms=1500", headers=[("Content-Length", "2")]) + b"a")
            assert client.silent(1.5)
            client.send(b"b")
            assert client.answer().text == "slow"
