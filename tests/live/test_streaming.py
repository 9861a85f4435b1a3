"""Large bodies pass in flat memory, and whoever does not read stops whoever sends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.peers import Peer, kernel_buffers, request, wait_until
from tests.support.servers import App
from tests.support.sidecar import (
    CODECS,
    Sidecar,
    Watch,
    config,
    free_port,
    me,
    plain,
    service,
    workload,
)

MIB = 1 << 20
# What a body may cost in memory, whatever its size: buffers on both sides (KiB).
ALLOWANCE = 4096
# What the kernel holds of a stream that nobody reads: two connections' buffers (bytes).
IN_KERNEL = 2 * kernel_buffers()

SIZES = [
    pytest.param(64 * MIB, id="64MiB"),
    pytest.param(2048 * MIB, id="2GiB", marks=pytest.mark.long),
]


@dataclass(frozen=True)
class Place:
    proxy: Sidecar
    app: App
    port: int
    inbound: int

    def memory(self) -> float:
        """The largest worker's, in KiB."""
        return max(self.proxy.pss().values())


@pytest.fixture(scope="module", params=CODECS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    port, inbound = free_port(), free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            plain([(port, "HTTP")], [(inbound, "HTTP", app.port)]),
        )
        with Sidecar(text, codec=request.param) as proxy:
            # Whatever is imported or made once has been, before memory is measured.
            with Peer.connect(port) as client:
                client.ask("/bytes?n=1000000")
                client.ask("/", "POST", body=b"x" * 300_000)
            yield Place(proxy, app, port, inbound)


@pytest.mark.parametrize("size", SIZES)
def test_a_large_download_in_flat_memory(place: Place, size: int) -> None:
    with Watch(place.memory) as watch, Peer.connect(place.port) as client:
        client.send(request(path=f"/bytes?n={size}"))
        assert client.head().get("content-length") == str(size)
        assert client.skip(size) == size
    assert watch.growth < ALLOWANCE


@pytest.mark.parametrize("size", SIZES)
def test_a_large_upload_in_flat_memory(place: Place, size: int) -> None:
    before = place.app.taken
    with Watch(place.memory) as watch, Peer.connect(place.port) as client:
        client.send(request("POST", "/sink", headers=[("Content-Length", str(size))]))
        piece = b"u" * MIB
        for _ in range(size // MIB):
            client.send(piece)
        assert client.answer().status == 200
    assert place.app.taken - before == size
    assert watch.growth < ALLOWANCE


def test_a_large_chunked_upload_in_flat_memory(place: Place) -> None:
    size = 32 * MIB
    with Watch(place.memory) as watch, Peer.connect(place.port) as client:
        headers = [("Transfer-Encoding", "chunked")]
        client.send(request("POST", "/never", headers=headers))
        chunk = b"%x\r\n%b\r\n" % (MIB, b"c" * MIB)
        for _ in range(size // MIB):
            client.send(chunk)
    assert watch.growth < ALLOWANCE


def test_both_directions_inbound_as_well(place: Place) -> None:
    size = 16 * MIB
    with Watch(place.memory) as watch, Peer.connect(place.inbound) as client:
        client.send(request(path=f"/bytes?n={size}"))
        assert client.head().status == 200
        assert client.skip(size) == size
        client.send(request("POST", "/sink", headers=[("Content-Length", str(size))]))
        for _ in range(size // MIB):
            client.send(b"u" * MIB)
        assert client.answer().status == 200
    assert watch.growth < ALLOWANCE


def test_a_slow_reader_stops_the_app(place: Place) -> None:
    """And when it reads on, the app goes on."""
    app = place.app
    cut_off, before = app.cut_off, app.sent
    with Watch(place.memory) as watch, Peer.connect(place.port) as client:
        client.send(request(path="/endless"))
        assert client.head().status == 200
        resting = rest(lambda: app.sent - before)
        assert resting < IN_KERNEL
        client.skip(resting + 4 * MIB)
        assert app.sent - before > resting
        assert rest(lambda: app.sent - before) < resting + 4 * MIB + IN_KERNEL
    assert watch.growth < ALLOWANCE
    wait_until(lambda: app.cut_off > cut_off, "the app to be told that nobody reads any more")


def test_a_slow_app_stops_the_client(place: Place) -> None:
    """And when it reads on, the client goes on, and all of it arrives."""
    app, size = place.app, IN_KERNEL + 64 * MIB
    app.released.clear()
    sent, before = [0], app.taken

    def upload(client: Peer) -> None:
        with contextlib.suppress(OSError):
            while sent[0] < size:
                sent[0] += client.sock.send(b"u" * min(MIB, size - sent[0]))

    with Watch(place.memory) as watch, Peer.connect(place.port) as client:
        client.sock.settimeout(None)
        client.send(request("POST", "/sink?hold", headers=[("Content-Length", str(size))]))
        uploader = threading.Thread(target=upload, args=(client,), daemon=True)
        uploader.start()
        assert rest(lambda: sent[0]) < IN_KERNEL
        app.released.set()
        uploader.join(30)
        assert client.answer().status == 200
    assert app.taken - before == size
    assert watch.growth < ALLOWANCE


def test_one_slow_reader_does_not_slow_the_others(place: Place) -> None:
    with Peer.connect(place.port, receive_buffer=65536) as slow:
        slow.send(request(path="/endless"))
        rest(lambda: place.app.sent)
        with Peer.connect(place.port) as client:
            for _ in range(50):
                assert client.ask().status == 200


def rest(number: object) -> int:
    """The value of a growing number once it has stopped growing."""
    value, since = -1, time.monotonic()
    while time.monotonic() - since < 0.4:
        found = number()  # type: ignore[operator]
        if found != value:
            value, since = found, time.monotonic()
        time.sleep(0.02)
    return value
