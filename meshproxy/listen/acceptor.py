"""Accepting on the sockets that the supervisor hands over."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Literal

from meshproxy.aio.spawn import spawn
from meshproxy.listen.original_dst import original_destination, transparent_destination
from meshproxy.listen.sockets import BACKLOG
from meshproxy.serve.gate import FindDestination, Gate
from meshproxy.serve.serving import Serving

_log = logging.getLogger(__name__)

Capture = Literal["", "redirect", "tproxy"]
"""How connections come to a listener; "": they are made to it."""


class Acceptor:
    """A worker's listeners by name. All workers accept on the same sockets, so that a connection
    in the queue is taken by whoever lives (a queue of one's own would die with its worker)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, serving: Serving) -> None:
        self._loop = loop
        self._serving = serving
        self._waiting: dict[str, tuple[Capture, list[socket.socket]]] = {}
        self._servers: dict[str, list[asyncio.AbstractServer]] = {}

    def add(self, name: str, capture: Capture, sockets: list[socket.socket]) -> None:
        """Take sockets for a listener; they are used once a plan knows it (`open_waiting`)."""
        self._waiting[name] = (capture, sockets)

    def open_waiting(self) -> None:
        """Start to accept on what was added since the last plan."""
        waiting, self._waiting = self._waiting, {}
        for name, (capture, sockets) in waiting.items():
            for sock in sockets:
                find = _finder(capture, sock.getsockname()[1])
                spawn(self._loop, self._serve(name, find, sock), f"listen {name}")

    def remove(self, name: str) -> None:
        for server in self._servers.pop(name, []):
            server.close()

    def stop(self) -> None:
        for name in list(self._servers):
            self.remove(name)

    async def _serve(self, name: str, find: FindDestination | None, sock: socket.socket) -> None:
        serving = self._serving
        server = await self._loop.create_server(
            lambda: Gate(serving, name, find),
            sock=sock,
            backlog=BACKLOG,
        )
        self._servers.setdefault(name, []).append(server)


def _finder(capture: Capture, port: int) -> FindDestination | None:
    match capture:
        case "redirect":
            return original_destination
        case "tproxy":
            return transparent_destination(port)
    return None
