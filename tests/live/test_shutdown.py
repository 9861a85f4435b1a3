"""SIGTERM: what is in flight is finished, and no longer than that is waited."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.peers import Peer, ask, peers, request, wait_until
from tests.support.servers import App, Server, echo_bytes
from tests.support.sidecar import (
    CODECS,
    Sidecar,
    config,
    free_port,
    me,
    plain,
    service,
    settings,
    workload,
)


@dataclass(frozen=True)
class Place:
    proxy: Sidecar
    app: App
    outbound: int
    inbound: int
    opaque: int

    def held(self, port: int) -> Peer:
        """A client whose request is in flight."""
        before = self.app.count("/hold")
        client = Peer.connect(port)
        client.send(request(path="/hold"))
        wait_until(lambda: self.app.count("/hold") > before, "the request to reach the app")
        return client

    def release(self) -> None:
        self.app.released.set()


EITHER = pytest.mark.parametrize("place", [1, 2], indirect=True, ids=["1-worker", "2-workers"])


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    outbound, inbound, opaque = free_port(), free_port(), free_port()
    with App() as app, Server(echo_bytes) as echo:
        text = config(
            me(),
            service("app", outbound),
            workload("app-1", "app", {"http": app.port}),
            plain([(outbound, "HTTP")], [(inbound, "HTTP", app.port), (opaque, "TCP", echo.port)]),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(text, workers=getattr(request, "param", 2), drain="8s") as proxy:
            yield Place(proxy, app, outbound, inbound, opaque)
            app.released.set()


def ready(proxy: Sidecar) -> int:
    return proxy.get(proxy.status_port, "/healthz/ready").status


@EITHER
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_it_ends_at_once(place: Place, number: int) -> None:
    """Idle connections, on either side, are nothing to wait for."""
    with Peer.connect(place.inbound) as one, Peer.connect(place.outbound) as other:
        assert one.ask().status == 200
        assert other.ask().status == 200
        time.sleep(0.5)
        place.proxy.signal(number)
        assert place.proxy.wait() == 0
        assert "nothing is in flight any more" in place.proxy.log


@EITHER
@pytest.mark.parametrize("side", ["inbound", "outbound"])
def test_a_request_in_flight_is_finished(place: Place, side: str) -> None:
    with place.held(getattr(place, side)) as client:
        place.proxy.signal(signal.SIGTERM)
        place.proxy.wait_for_log("draining")
        assert client.silent(0.3)
        place.release()
        answer = client.answer()
        assert (answer.status, answer.text) == (200, "released app")
        if side == "inbound":
            assert answer.has("connection", "close")
    assert place.proxy.wait() == 0
    assert "nothing is in flight any more" in place.proxy.log
    assert '"GET /hold HTTP/1.1" 200 ' in "\n".join(place.proxy.access_lines())


def test_an_answer_in_the_middle_is_finished(place: Place) -> None:
    with Peer.connect(place.inbound) as client:
        client.send(request(path="/drip"))
        assert client.head().status == 200
        assert client.exactly(1) == b"d"
        place.proxy.signal(signal.SIGTERM)
        place.proxy.wait_for_log("draining")
        place.release()
        assert client.exactly(4) == b"ripp"
    assert place.proxy.wait() == 0


def test_an_upload_in_the_middle_is_finished(place: Place) -> None:
    with Peer.connect(place.inbound) as client:
        before = place.app.count("/")
        client.send(request("POST", "/", headers=[("Content-Length", "4")]) + b"ab")
        wait_until(lambda: place.app.count("/") > before, "the head to reach the app")
        place.proxy.signal(signal.SIGTERM)
        place.proxy.wait_for_log("draining")
        client.send(b"cd")
        assert client.answer().seen.body == b"abcd"
    assert place.proxy.wait() == 0


def test_while_it_drains_it_says_so(place: Place) -> None:
    """Not ready any more, so that nobody sends new traffic; scrapes still work."""
    assert ready(place.proxy) == 200
    with place.held(place.inbound) as client:
        place.proxy.signal(signal.SIGTERM)
        wait_until(lambda: ready(place.proxy) == 503, "it to be unready")
        reason = place.proxy.get(place.proxy.status_port, "/healthz/ready").text
        assert "shutting down" in reason
        assert place.proxy.get(place.proxy.admin, "/ready").text == "DRAINING\n"
        assert place.proxy.metrics().value("meshproxy_ready") == 0
        place.release()
        assert client.answer().status == 200


def test_what_still_comes_is_served_and_told_to_go(place: Place) -> None:
    """New connections find somebody until the end (endpoints take a while to be withdrawn), and
    each inbound answer says that it is the last on its connection."""
    with place.held(place.inbound), Peer.connect(place.inbound) as old:
        assert old.ask().status == 200
        place.proxy.signal(signal.SIGTERM)
        place.proxy.wait_for_log("draining")
        for _ in range(5):
            with Peer.connect(place.inbound) as client:
                answer = client.ask()
                assert answer.status == 200
                assert answer.has("connection", "close")
                assert client.ending() == "end"
        place.release()


def test_connections_made_just_before_are_served(place: Place) -> None:
    """Their first request may be on its way."""
    with place.held(place.inbound), peers(20, place.inbound) as clients:
        place.proxy.signal(signal.SIGTERM)
        place.proxy.wait_for_log("draining")
        time.sleep(0.1)
        for client in clients:
            client.send(request())
        assert [client.answer().status for client in clients] == [200] * 20
        place.release()


def test_outbound_goes_on_until_the_app_is_gone(place: Place) -> None:
    """Draining has a direction: the app may still need others to finish its own requests."""
    with place.held(place.inbound), Peer.connect(place.outbound) as old:
        assert old.ask().status == 200
        place.proxy.signal(signal.SIGTERM)
        place.proxy.wait_for_log("draining")
        assert not old.ask().has("connection", "close")
        answer = ask(place.outbound)
        assert answer.status == 200
        assert not answer.has("connection", "close")
        place.release()


def test_idle_inbound_connections_are_closed_while_it_drains(place: Place) -> None:
    with place.held(place.inbound), Peer.connect(place.inbound) as idle:
        assert idle.ask().status == 200
        place.proxy.signal(signal.SIGTERM)
        assert idle.ending(3) == "end"
        place.release()


def test_an_opaque_connection_is_waited_for(place: Place) -> None:
    """It can't be told that we are leaving; it may end by itself."""
    with Peer.connect(place.opaque) as client:
        client.send(b"a")
        assert client.exactly(1) == b"a"
        place.proxy.signal(signal.SIGTERM)
        place.proxy.wait_for_log("draining")
        client.send(b"still here")
        assert client.exactly(10) == b"still here"
        assert not place.proxy.ended
    assert place.proxy.wait(3) == 0


def test_no_longer_than_the_drain_time() -> None:
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            plain([(port, "HTTP")]),
        )
        with Sidecar(text, drain="1s") as proxy, Peer.connect(port) as client:
            client.send(request(path="/never"))
            wait_until(lambda: app.count("/never"), "the request to reach the app")
            begun = time.monotonic()
            proxy.signal(signal.SIGTERM)
            assert proxy.wait() == 0
            assert time.monotonic() - begun > 0.9
            assert "drain time is over with 1 connections busy" in proxy.log
            assert client.ending() in ("end", "reset")
            assert " 0 DC " in "\n".join(proxy.access_lines())


@EITHER
def test_a_second_signal_stops_at_once(place: Place) -> None:
    with place.held(place.inbound) as client:
        place.proxy.signal(signal.SIGTERM)
        place.proxy.wait_for_log("draining")
        place.proxy.signal(signal.SIGTERM)
        assert place.proxy.wait() == 0
        assert "second signal: stopping at once" in place.proxy.log
        assert "drain time is over" not in place.proxy.log
        assert client.ending() in ("end", "reset")


@pytest.mark.parametrize("codec", CODECS)
def test_no_request_is_lost_by_a_polite_client(codec: str) -> None:
    """Clients that keep to `connection: close` and try another connection see no failure until
    the port is closed: the answer to each request that was sent comes."""
    import threading

    inbound = free_port()
    with App() as app:
        text = config(me(), plain([], [(inbound, "HTTP", app.port)]))
        lost: list[str] = []
        answered = [0]

        def run() -> None:
            while True:
                try:
                    client = Peer.connect(inbound)
                except OSError:
                    return  # nobody listens any more
                with client:
                    while True:
                        try:
                            answer = client.ask()
                        except Exception as error:
                            if not proxy.ended:
                                lost.append(repr(error))
                            return
                        answered[0] += 1
                        if answer.has("connection", "close"):
                            break

        with Sidecar(text, codec=codec, workers=2, drain="60s") as proxy:
            threads = [threading.Thread(target=run) for _ in range(4)]
            for thread in threads:
                thread.start()
            wait_until(lambda: answered[0] > 200, "traffic")
            hold = Peer.connect(inbound)
            with hold:
                hold.send(request(path="/hold"))
                wait_until(lambda: app.count("/hold"), "the request to reach the app")
                proxy.signal(signal.SIGTERM)
                proxy.wait_for_log("draining")
                at = answered[0]
                wait_until(lambda: answered[0] > at + 100, "traffic while it drains")
                assert lost == []
                app.released.set()
                assert hold.answer().status == 200
            proxy.signal(signal.SIGTERM)
            proxy.wait()
            for thread in threads:
                thread.join()


def test_a_signal_while_it_starts_ends_it() -> None:
    """Before it is ready, at whatever point: no process is left, and no traceback."""
    port = free_port()
    text = config(me(), plain([(port, "HTTP")]))
    for moment in (0.05, 0.15, 0.3, 0.45):
        with Sidecar(text, ready=False) as proxy:
            time.sleep(moment)
            proxy.signal(signal.SIGTERM)
            assert proxy.wait(5) in (0, -signal.SIGTERM)
            wait_until(lambda: not proxy.family(), "everything to end")
            assert "Traceback" not in proxy.log


def test_quitquitquit(place: Place) -> None:
    assert place.proxy.get(place.proxy.admin, "/quitquitquit", "POST").status == 200
    assert place.proxy.wait(3) == 0
