"""HTTP/2 peers that do too much of what is allowed: each is cut off, named, and costs little."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.support import frames
from tests.support.frames import END, GET, PREFACE, frame, headers
from tests.support.http2 import Http2Client
from tests.support.peers import Peer
from tests.support.servers import App
from tests.support.sidecar import (
    Sidecar,
    Watch,
    config,
    free_port,
    me,
    plain,
    service,
    settings,
    workload,
)

CALM = 11
COUNTER = "meshproxy_downstream_protocol_errors_total"
LINES = [*GET[:3], (b":authority", b"old")]


@dataclass(frozen=True)
class Place:
    proxy: Sidecar
    port: int


@pytest.fixture(scope="module", params=[1, 2])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("old", port),
            workload("old-1", "old", {"http": app.port}),
            plain([(port, "HTTP")]),
        )
        with Sidecar(text, workers=request.param) as proxy:
            yield Place(proxy, port)


def resets(at: int) -> bytes:
    return headers(2 * at + 1, LINES) + frames.rst(2 * at + 1)


def malformed(at: int) -> bytes:
    return headers(2 * at + 1, [*LINES, (b"content-length", b"5")])


def bomb(at: int) -> bytes:
    if at:
        return b""
    line = b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000
    return frame(frames.HEADERS, 5, 1, frames.block(LINES) + line + b"\xbe" * 1000)


def continuations(at: int) -> bytes:
    return frame(frames.CONTINUATION, 0, 1) if at else headers(1, LINES, END)


FLOODS = {
    "rapid_reset": resets,
    "owed_resets": malformed,
    "control_flood": lambda at: frame(frames.PING, 0, 0, bytes(8)),
    "empty_frame_flood": lambda at: frames.data(1) if at else headers(1, LINES, 4),
    "idle_frame_flood": lambda at: frame(77),
    "window_flood": lambda at: frames.window(0, 1),
    "continuation_flood": continuations,
    "header_bomb": bomb,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_its_connection(place: Place, name: str) -> None:
    """And no other: what the rest of the world gets meanwhile is an answer."""
    make: Callable[[int], bytes] = FLOODS[name]
    before = place.proxy.metrics().value(COUNTER, reason=f"http2.{name}")
    sent = b"".join(map(make, range(20_000)))
    watch = Watch(lambda: max(place.proxy.pss().values()))
    with watch, Http2Client(place.port) as neighbour, Peer.connect(place.port) as client:
        client.sock.settimeout(10)
        try:
            client.send(PREFACE + frames.settings() + sent)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it was cut off while it was still sending
        assert client.ending(10) in ("end", "reset")
        assert neighbour.ask(host="old").status == 200
    assert place.proxy.metrics().value(COUNTER, reason=f"http2.{name}") == before + 1
    assert watch.growth < 8192


def test_windows_of_a_byte() -> None:
    """The answer is let through byte by byte; this takes two to play."""
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("old", port),
            workload("old-1", "old", {"http": app.port}),
            plain([(port, "HTTP")]),
            settings(maxH2TinyWindows=40),
        )
        with Sidecar(text) as proxy, Peer.connect(port) as client:
            lines = [(n, b"/bytes?n=100000" if n == b":path" else v) for n, v in LINES]
            client.send(PREFACE + frames.settings((4, 0)) + headers(1, lines))
            kind, given = frames.DATA, 0
            while kind != frames.GOAWAY and given < 10_000:
                client.send(frames.window(1, 1))
                given += 1
                while (kind := next_kind(client)) not in (frames.DATA, frames.GOAWAY):
                    pass
            assert 40 <= given < 10_000
            assert proxy.metrics().value(COUNTER, reason="http2.tiny_windows") == 1


def next_kind(client: Peer) -> int:
    """Of the next frame, which is thrown away."""
    head = client.exactly(9)
    client.exactly(int.from_bytes(head[:3], "big"))
    return head[3]


def test_the_peer_is_told_to_be_calm(place: Place) -> None:
    with Peer.connect(place.port) as client:
        client.send(PREFACE + frames.settings())
        client.send(b"".join(map(continuations, range(40))))
        assert client.ending(10) == "end"
        assert frames.code_of_goaway(client.buffer) == CALM


def test_headers_that_are_too_large_are_answered(place: Place) -> None:
    with Http2Client(place.port) as client:
        for stream in range(2):
            large = [(f"x-{at}-{stream}", "v" * 6500) for at in range(10)]
            assert client.answer(client.request(host="old", headers=large)).status == 431
        assert client.ask(host="old").status == 200
