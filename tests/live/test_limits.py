"""Everything that a peer can grow is bounded: connections, waiting, reading ahead."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.peers import Peer, request, wait_until
from tests.support.servers import App
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
    port: int


@contextmanager
def limited(codec: str = "fast", workers: int = 1, **values: Any) -> Iterator[Place]:
    """A sidecar with these `Settings`."""
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            plain([(port, "HTTP")]),
            settings(accessLogFlush="20ms", **values),
        )
        with Sidecar(text, codec=codec, workers=workers) as proxy:
            yield Place(proxy, app, port)


def admitted(port: int) -> Peer | None:
    """A connection that has been answered once, or None where it was turned away."""
    client = None
    try:
        client = Peer.connect(port)
        assert client.ask().status == 200
    except (ConnectionResetError, BrokenPipeError):
        if client is not None:
            client.close()
        return None
    return client


# Connections.


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("most", [1, 7])
def test_connections_are_limited_over_all_workers(workers: int, most: int) -> None:
    """To exactly that number: one more is reset, one less makes room for one."""
    refused = "meshproxy_connections_refused_total"
    with limited(workers=workers, maxConnections=most) as place, contextlib.ExitStack() as stack:
        clients = []
        for _ in range(most):
            client = admitted(place.port)
            assert client is not None
            clients.append(stack.enter_context(client))
        for _ in range(10):
            assert admitted(place.port) is None
        assert place.proxy.metrics().value(refused, reason="max_connections") == 10
        clients.pop().close()
        found = wait_until(lambda: admitted(place.port), "room for one more")
        stack.enter_context(found)
        assert admitted(place.port) is None
        for client in clients:
            assert client.ask().status == 200


def test_no_limit_by_default() -> None:
    with limited(workers=2) as place, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Peer.connect(place.port)) for _ in range(300)]
        for client in clients:
            assert client.ask().status == 200


# Waiting.


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nHost: app\r\n", b"G", b"PO"])
def test_a_head_that_does_not_end_is_not_waited_for(codec: str, start: bytes) -> None:
    """408 with a sentence, then an end."""
    with limited(codec, headerTimeout="500ms") as place, Peer.connect(place.port) as client:
        begun = time.monotonic()
        client.send(start)
        answer = client.answer()
        assert answer.status == 408
        assert "0.5 s" in answer.text
        assert answer.has("connection", "close")
        assert client.ending() == "end"
        assert time.monotonic() - begun > 0.4


def test_a_head_that_does_not_end_is_logged_with_a_flag_of_its_own() -> None:
    with (
        limited(headerTimeout="200ms") as place,
        Peer.connect(place.port, source="127.0.0.21") as client,
    ):
        own = "{}:{}".format(*client.own_name)
        assert client.send("GET /").answer().status == 408
        assert " 408 DT request_header_timeout " in place.proxy.access(own)


def test_a_head_that_drips_is_not_waited_for_either() -> None:
    """A byte now and then does not start the time anew."""
    with limited(headerTimeout="500ms") as place, Peer.connect(place.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: app\r\n")
        for _ in range(40):
            if not client.silent(0.1) or not client.send_quietly(b"X: y\r\n"):
                break
        else:
            raise AssertionError("it may go on for ever")
        assert client.answer().status == 408


def test_the_second_head_of_a_connection_is_waited_for_as_long() -> None:
    with limited(headerTimeout="500ms") as place, Peer.connect(place.port) as client:
        assert client.ask().status == 200
        client.send(request() + b"GET /")
        assert client.answer().status == 200
        assert client.answer().status == 408


def test_a_beginning_that_could_be_http2_is_not_waited_for_either() -> None:
    """``P`` may become the preface of HTTP/2, or POST, or nothing."""
    with limited(headerTimeout="500ms") as place, Peer.connect(place.port) as client:
        client.send(b"PRI * HT")
        assert client.ending(5) in ("end", "reset")


# Reading ahead.


def test_pipelined_requests_are_read_ahead_only_so_far() -> None:
    """While one is answered, the client is stopped; memory does not grow with what it sends."""
    with limited(maxPipelinedBytes="64Ki") as place, Peer.connect(place.port) as client:
        place.app.released.clear()
        client.send(request(path="/hold"))
        wait_until(lambda: place.app.count("/hold"), "the request to reach the app")
        client.sock.settimeout(0.5)
        sent = 0
        piece = request("GET", "/?" + "a" * 1000) * 64
        with contextlib.suppress(TimeoutError):
            while sent < 64 << 20:
                sent += client.sock.send(piece)
        assert sent < 32 << 20, "it was never stopped"
        assert max(place.proxy.pss().values()) < 41 << 10
        place.app.released.set()


@pytest.mark.parametrize("codec", CODECS)
def test_answers_to_a_client_that_does_not_read_are_not_piled_up(codec: str) -> None:
    """It pipelines requests for large answers and takes none: the app is asked for a few."""
    count, size = 400, 200_000
    with (
        limited(codec) as place,
        Peer.connect(place.port, receive_buffer=65536) as client,
    ):
        before = max(place.proxy.pss().values())
        client.send(request(path=f"/bytes?n={size}") * count)
        # Wait until nothing moves any more.
        seen = -1
        while seen != place.app.count("/bytes"):
            seen = place.app.count("/bytes")
            time.sleep(0.3)
        assert seen < count / 2, f"{seen} answers of {size} bytes are waiting for nobody"
        assert max(place.proxy.pss().values()) - before < 8 << 10
        # And all of them come, once they are taken.
        for _ in range(count):
            assert client.head().status == 200
            assert client.skip(size) == size
