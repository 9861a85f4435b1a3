"""A thousand streams on one connection through mutual TLS: none waits for the others for long, and
memory is what it was once they are all open.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.load.frames import (
    ACK,
    DATA,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    Reader,
    block,
    frame,
    headers,
    hello,
    message,
    open_window,
)
from benchmarks.machine.ports import Ports
from benchmarks.peers.frames_app import start_frames_app
from tests.support import hop
from tests.support.pki import Authority
from tests.support.sidecar import Watch

STREAMS = 1000
MESSAGE = message(b"m" * 100)
# The fastest stream's messages for one of the slowest's.
FAIR = 3
# Buffers in the largest worker (KiB).
ALLOWANCE = 4096
PATIENCE = 240.0

ROUNDS = [pytest.param(20, id="20"), pytest.param(500, id="500", marks=pytest.mark.long)]


class Crowd:
    """Each stream sends its next message when the last one has come back."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection((hop.LOCAL, port), timeout=30)
        self._reader = Reader()
        self._taken = 0
        self.echoes = dict.fromkeys(range(1, 2 * STREAMS, 2), 0)
        call = block(
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/test.Crowd/Talk"),
            (":authority", hop.service_of("http2")),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        )
        self._sock.sendall(PREFACE + hello())
        for stream in self.echoes:
            self._sock.sendall(headers(stream, call) + frame(DATA, 0, stream, MESSAGE))

    def talk(self, rounds: int) -> None:
        """Until the slowest stream has had so many answers."""
        end = time.monotonic() + PATIENCE
        while min(self.echoes.values()) < rounds:
            assert time.monotonic() < end, sorted(self.echoes.values())[:10]
            self._go_on()

    def _go_on(self) -> None:
        data = self._sock.recv(256 * 1024)
        assert data, "the connection was closed"
        out = bytearray()
        for kind, flags, stream, payload in self._reader.feed(data):
            assert kind != RST_STREAM, f"stream {stream} was reset: {payload.hex()}"
            if kind == DATA and payload:
                assert payload == MESSAGE
                self.echoes[stream] += 1
                self._taken += len(payload)
                out += frame(DATA, 0, stream, MESSAGE)
            elif kind == SETTINGS and not flags & ACK:
                out += frame(SETTINGS, ACK, 0)
        if self._taken:
            out += open_window(self._taken)
            self._taken = 0
        self._sock.sendall(out)

    def close(self) -> None:
        self._sock.close()


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[hop.Caller, hop.Called]]:
    folder: Path = tmp_path_factory.mktemp("app")
    authority = Authority()
    process, port, _ = start_frames_app(folder, Ports(), ())
    with process:
        process.wait_for_port(port)
        apps = SimpleNamespace(ports=dict.fromkeys(hop.PROTOCOLS, port))
        with (
            hop.called("ours", authority.issue(hop.BACK), apps) as called,  # type: ignore[arg-type]
            hop.caller("ours", authority.issue(hop.FRONT), called.ports) as caller,
        ):
            yield caller, called


@pytest.mark.parametrize("rounds", ROUNDS)
def test_all_streams_get_their_turn(ends: tuple[hop.Caller, hop.Called], rounds: int) -> None:
    caller, called = ends
    crowd = Crowd(caller.ports["http2"])
    try:
        crowd.talk(5)

        def memory() -> float:
            return max(max(each.ours.pss().values()) for each in (caller, called))

        before = dict(crowd.echoes)
        with Watch(memory, interval=0.1) as watch:
            crowd.talk(rounds)
    finally:
        crowd.close()
    done = [crowd.echoes[stream] - before[stream] for stream in before]
    assert watch.growth < ALLOWANCE
    assert max(done) <= FAIR * min(done)
