"""The steady load, against a small server in a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.load.paced import generate
from benchmarks.load.probe import probe

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nv1"


class Server:
    """Answers every request with ``answer``; b"": closes instead."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.seen = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            while sock.recv(65536):
                self.seen += 1
                if not self._answer:
                    return
                sock.sendall(self._answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def ok() -> Iterator[Server]:
    server = Server(_OK)
    yield server
    server.close()


def test_the_rate_is_kept(ok: Server) -> None:
    found = generate(ok.port, rate=400, seconds=0.5, connections=4, seed=1)
    assert found.errors == {}
    assert found.requests == ok.seen
    assert 120 < found.requests < 290
    assert 0 < found.p50_us <= found.p99_us


def test_failures_are_counted_by_kind() -> None:
    for answer, kind in ((_OK.replace(b"200", b"503"), "status"), (b"", "read")):
        server = Server(answer)
        found = generate(server.port, rate=100, seconds=0.2, connections=2, seed=1)
        server.close()
        assert set(found.errors) == {kind}
        assert found.errors[kind] == server.seen


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    found = generate(port, rate=100, seconds=0.1, connections=2, seed=1)
    assert found.requests == 0
    assert found.errors["connect"] == 2
    assert found.errors["unsent"] > 0


def test_a_probe_tells_who_answered(ok: Server) -> None:
    found = probe(ok.port)
    assert (found.versions, found.bad, found.split) == ({"v1": 300}, 0, "v1 300")
    assert not found.weighted
