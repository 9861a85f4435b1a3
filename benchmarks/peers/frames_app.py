"""An app that speaks HTTP/2 and gRPC, and costs so little that it never is what a load waits for.

    python -m benchmarks.peers.frames_app PORT VERSION [PORT VERSION ...]

It answers by the shape of what comes, without reading headers:

- a request without a body: 1 KiB, which begins with the version;
- one whose body ends with a message (a unary call): a message of 1 KiB, and trailers;
- messages on a stream that goes on: each comes back.
"""

from __future__ import annotations

import selectors
import socket
import sys
from pathlib import Path

from benchmarks.load.frames import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
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
from benchmarks.machine.processes import Process
from benchmarks.peers.upstream import BODY_BYTES, body

_ROOM = 1 << 20
_GRPC = block((":status", "200"), ("content-type", "application/grpc"))
_TRAILERS = block(("grpc-status", "0"))
_FIELDS = (("content-type", "text/plain"), ("content-length", str(BODY_BYTES)), ("server", "app"))


class Connection:
    def __init__(self, sock: socket.socket, version: str) -> None:
        self._sock = sock
        self._reader = Reader(len(PREFACE))
        self._body = body(version).encode()
        self._unary = message(b"." * BODY_BYTES)
        self._head = block((":status", "200"), *_FIELDS)
        self._taken = 0
        sock.sendall(hello())

    def serve(self) -> bool:
        """False: the other end has closed."""
        data = self._sock.recv(256 * 1024)
        out = bytearray()
        for kind, flags, stream, payload in self._reader.feed(data):
            if kind == DATA:
                self._data(out, flags, stream, payload)
            elif kind == HEADERS:
                if flags & END_STREAM:
                    out += headers(stream, self._head)
                    out += frame(DATA, END_STREAM, stream, self._body)
                else:
                    out += headers(stream, _GRPC)
            elif kind in (SETTINGS, PING) and not flags & ACK:
                out += frame(kind, ACK, 0, payload if kind == PING else b"")
        if out:
            self._sock.sendall(out)
        return bool(data)

    def _data(self, out: bytearray, flags: int, stream: int, payload: bytes) -> None:
        self._taken += len(payload)
        if self._taken > _ROOM:
            out += open_window(self._taken)
            self._taken = 0
        if not flags & END_STREAM:
            out += frame(DATA, 0, stream, payload)
            return
        if payload:
            out += frame(DATA, 0, stream, self._unary)
        out += headers(stream, _TRAILERS, end=True)


def start_frames_app(folder: Path, ports: Ports, cpus: tuple[int, ...]) -> tuple[Process, int, int]:
    """Its process, and the ports of v1 and v2."""
    v1, v2 = ports.take(), ports.take()
    where = (str(v1), "v1", str(v2), "v2")
    command = [sys.executable, "-m", "benchmarks.peers.frames_app", *where]
    process = Process("the upstream", command, cpus, folder / "stderr", None, _ROOT)
    return process, v1, v2


_ROOT = Path(__file__).parents[2]


def main(arguments: list[str]) -> None:
    with selectors.DefaultSelector() as selector:
        for port, version in zip(arguments[::2], arguments[1::2], strict=True):
            listener = socket.create_server(("127.0.0.1", int(port)), backlog=512)
            selector.register(listener, selectors.EVENT_READ, version)
        while True:
            for key, _ in selector.select():
                if isinstance(key.data, str):
                    sock, _ = key.fileobj.accept()  # type: ignore[union-attr]
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(sock, selectors.EVENT_READ, Connection(sock, key.data))
                elif not _served(key.data):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]


def _served(connection: Connection) -> bool:
    try:
        return connection.serve()
    except OSError:
        return False


if __name__ == "__main__":
    main(sys.argv[1:])
