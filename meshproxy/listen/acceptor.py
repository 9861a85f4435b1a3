"""Accepting on the sockets that the supervisor hands over."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Literal

from meshproxy.aio.spawn import spawn
from meshproxy.listen.original_dst import original_destination, transparent_destination
from meshproxy.listen.sockets import BACKLOG
from meshproxy.serve.gate import FindDestination, Gate
from meshproxy.serve.serving import Serving

_log = logging.getLogger(__name__)

Capture = Literal["", "redirect", "tproxy"]
"""How connections come to a listener; "": they are made to it."""

Hand = Callable[[asyncio.Transport, str], bool]
"""Whether a connection, of which nothing was read yet, to a listener went to another worker."""


class Acceptor:
    """A worker's listeners by name. All workers accept on the same sockets, so that a connection
    in the queue is taken by whoever lives (a queue of one's own would die with its worker).

    ``hand``: set where there are other workers.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, serving: Serving) -> None:
        self._loop = loop
        self._serving = serving
        self.hand: Hand | None = None
        self._waiting: dict[str, tuple[Capture, list[socket.socket]]] = {}
        self._servers: dict[str, list[asyncio.AbstractServer]] = {}
        self._finders: dict[str, FindDestination | None] = {}

    def add(self, name: str, capture: Capture, sockets: list[socket.socket]) -> None:
        """Take sockets for a listener; they are used once a plan knows it (`open_waiting`)."""
        self._waiting[name] = (capture, sockets)

    def open_waiting(self) -> None:
        """Start to accept on what was added since the last plan."""
        waiting, self._waiting = self._waiting, {}
        for name, (capture, sockets) in waiting.items():
            for sock in sockets:
                find = _finder(capture, sock.getsockname()[1])
                self._finders[name] = find
                spawn(self._loop, self._serve(name, find, sock), f"listen {name}")

    def adopt(self, name: str, sock: socket.socket, arrived: Callable[[], None]) -> None:
        """Take a connection that another worker has accepted; ``arrived`` is called in the end."""
        if name not in self._finders:  # closed since
            sock.close()
            arrived()
        else:
            work = self._take(name, self._finders[name], sock, arrived)
            spawn(self._loop, work, f"adopt {name}")

    def remove(self, name: str) -> None:
        self._finders.pop(name, None)
        for server in self._servers.pop(name, []):
            server.close()

    def stop(self) -> None:
        for name in list(self._servers):
            self.remove(name)

    async def _serve(self, name: str, find: FindDestination | None, sock: socket.socket) -> None:
        serving, hand = self._serving, self.hand

        def make() -> asyncio.Protocol:
            gate = Gate(serving, name, find)
            return gate if hand is None else _Arrival(gate, hand)

        server = await self._loop.create_server(make, sock=sock, backlog=BACKLOG)
        self._servers.setdefault(name, []).append(server)

    async def _take(
        self,
        name: str,
        find: FindDestination | None,
        sock: socket.socket,
        arrived: Callable[[], None],
    ) -> None:
        serving = self._serving
        try:
            await self._loop.connect_accepted_socket(lambda: Gate(serving, name, find), sock)
        except OSError as error:  # the client has gone meanwhile
            _log.debug("a connection to %s was lost on its way here: %s", name, error)
            sock.close()
        finally:
            arrived()


class _Arrival(asyncio.Protocol):
    """A connection until it is known who takes it."""

    def __init__(self, gate: Gate, hand: Hand) -> None:
        self._gate = gate
        self._hand = hand

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if not self._hand(transport, self._gate.listener):
            transport.set_protocol(self._gate)
            self._gate.connection_made(transport)


def _finder(capture: Capture, port: int) -> FindDestination | None:
    match capture:
        case "redirect":
            return original_destination
        case "tproxy":
            return transparent_destination(port)
    return None
