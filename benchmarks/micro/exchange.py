"""Whole requests through a real worker: everything but sockets and the kernel.

A worker of the sidecar is configured as in production, by messages over its channel. Then a block
of requests goes in, one on each client connection, as a turn of the loop would bring them; what the
worker sent upstream is answered with canned bytes; and the answers come out. No request waits for
another, and none touches a socket: what is timed is our own code.
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import socket
from typing import Any

from benchmarks.load.request import request_maker
from benchmarks.micro.loop import Loop, Transport
from benchmarks.micro.mesh import PORT, snapshot
from meshproxy.model.snapshot import diff
from meshproxy.runtime.channel import Channel, Kind
from meshproxy.runtime.options import WorkerOptions
from meshproxy.runtime.page import Page, new_page
from meshproxy.runtime.worker import Worker

CONNECTIONS = 16
_MOST_TURNS = 1000  # of the loop, to wait for anything at all
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 02 Mar 2026 10:00:00 GMT\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 1024\r\nConnection: keep-alive\r\n\r\n"
) + b"." * 1024


class Stuck(Exception):
    """The worker did not do what it should; the message says what."""


class Exchanges:
    """A worker with client connections. ``log``: json, text or off, written to ``/dev/null``."""

    connections = CONNECTIONS
    protocol = "http"
    transport: type[Transport] = Transport

    def __init__(self, log: str, codec: str = "fast") -> None:
        self._loop = Loop(self.transport)
        ours, theirs = socket.socketpair()
        options = WorkerOptions(**self.options(codec), log_level="warning")
        self._worker = Worker(self._loop, theirs, Page(new_page()), 0, options)
        self._told: list[Kind] = []
        self._channel = Channel(self._loop, ours, self._on_message, lambda: None)
        self._configure(log)
        self._make = request_maker()
        self._number = 0
        self._clients = [self._connect(number) for number in range(self.connections)]
        # Twice: the first block dials, the second finds every connection open.
        for _ in range(2):
            self.run(CONNECTIONS)

    def run(self, count: int) -> None:
        """Carry so many requests, rounded up to whole blocks."""
        for _ in range(-(-count // CONNECTIONS)):
            self._block()
        # Timers, and what else has come due.
        self._loop.turn()

    def close(self) -> None:
        self._channel.send(Kind.STOP)
        self._until(lambda: Kind.STOPPED in self._told, "the worker does not end")
        self._channel.close()
        self._loop.turn()
        self._loop.close()
        gc.unfreeze()  # a worker freezes its heap when it starts

    def options(self, codec: str) -> dict[str, Any]:
        return {"http1_codec": codec}

    @property
    def carried(self) -> int:
        """Requests so far."""
        return self._number

    @property
    def upstreams(self) -> list[Transport]:
        """Connections that were dialled."""
        return self._loop.upstreams

    def _block(self) -> None:
        make, number = self._make, self._number
        for client in self._clients:
            number += 1
            client.receive(make(number))
        self._number = number
        for _ in range(_MOST_TURNS):
            waiting = [upstream for upstream in self.upstreams if upstream.last]
            for upstream in waiting:
                upstream.last = b""
                upstream.receive(ANSWER)
            if all(client.last for client in self._clients):
                break
            if not waiting:
                self._loop.turn()
        for client in self._clients:
            if not client.last.startswith(b"HTTP/1.1 200 ") or len(client.last) < len(ANSWER) - 64:
                raise Stuck(f"a request was answered with {client.last[:64]!r}")
            client.last = b""

    def _configure(self, log: str) -> None:
        whole = snapshot(log, self.protocol)
        listener = next(name for name, found in whole.listeners.items() if found.port == PORT)
        with socket.socket() as unused:
            self._channel.send(Kind.LISTEN, pickle.dumps((listener, "")), (unused.fileno(),))
            parts = [(key, part, True) for key, part in diff(None, whole).changed.items()]
            self._channel.send(Kind.PARTS, pickle.dumps(parts))
            self._channel.send(Kind.COMMIT, pickle.dumps(1))
            self._until(lambda: bool(self._loop.factories), "the worker takes no configuration")

    def _connect(self, number: int) -> Transport:
        client = self.transport(("127.0.0.1", 40_000 + number), ("127.0.0.1", PORT))
        client.connect(self._loop.factories[0]())
        return client

    def _until(self, done: Any, problem: str) -> None:
        for _ in range(_MOST_TURNS):
            if done():
                return
            self._loop.run_until_complete(_moment())
        raise Stuck(problem)

    def _on_message(self, kind: Kind, body: bytes, fds: list[int]) -> None:
        self._told.append(kind)


async def _moment() -> None:
    await asyncio.sleep(0.001)
