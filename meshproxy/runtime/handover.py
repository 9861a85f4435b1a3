"""Fresh connections that a worker with more of them hands to the one with the fewest.

All workers accept on the same sockets. That spreads many connections evenly, but not a few: a
client that sends everything over two HTTP/2 connections may have both at one worker while another
idles. So whoever accepts looks how many the others have (Envoy's exact balance does the same).
What that may cost is bounded: past some connections in half a second, chance spreads them well.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket
import termios
from collections.abc import Callable, Sequence
from typing import NamedTuple

from meshproxy.runtime.page import Column, Page

_NAME = 64  # bytes of a message: the name of the listener, beside the connection's descriptor
_MOST = 32  # connections between two refills
_PATIENCE_MS = 1_000  # since a worker was last seen running


class Lane(NamedTuple):
    """The way to one worker. Every process has both ends, so that what waits for a worker that
    dies is taken by the one that replaces it."""

    to: socket.socket
    end: socket.socket


def lanes(count: int) -> tuple[Lane, ...]:
    """A lane for each of ``count`` workers, made before they are forked; none for one alone."""
    if count < 2:
        return ()
    found = tuple(
        Lane(*socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)) for _ in range(count)
    )
    for lane in found:
        lane.to.setblocking(False)
        lane.end.setblocking(False)
    return found


Adopt = Callable[[str, socket.socket, Callable[[], None]], None]
"""Takes a connection to the listener of that name; the last argument is called once it counts."""


class Handover:
    """One worker's part: ``row`` is its own, ``adopt`` takes what others hand to it, and
    ``handed`` is told the listener of each connection that goes to somebody else."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
        page: Page,
        row: int,
        ways: Sequence[Lane],
        adopt: Adopt,
        handed: Callable[[str], None],
    ) -> None:
        self._now = now
        self._adopt = adopt
        self._handed = handed
        self._own = page.row(row)
        self._end = ways[row].end
        self._others = [(page.row(at), way) for at, way in enumerate(ways) if at != row]
        self._left = _MOST
        loop.add_reader(self._end, self._on_handed)

    def refill(self) -> None:
        """Called twice a second."""
        self._left = _MOST

    def hand(self, transport: asyncio.Transport, listener: str) -> bool:
        """Whether the connection, of which nothing has been read yet, went to somebody else."""
        if not self._left or len(listener) > _NAME:
            return False
        own = self._own
        to: Lane | None = None
        least = own[Column.CONNECTIONS] + own[Column.ADOPTING]
        alive = int(self._now() * 1000) - _PATIENCE_MS
        for row, way in self._others:
            count = row[Column.CONNECTIONS] + row[Column.ADOPTING]
            if (
                count < least
                and row[Column.GENERATION] == own[Column.GENERATION]
                and row[Column.HEARTBEAT] >= alive
                and (count := count + _waiting(way)) < least
            ):
                least, to = count, way
        return to is not None and self._send(to, transport, listener)

    def _send(self, to: Lane, transport: asyncio.Transport, listener: str) -> bool:
        name = listener.encode().ljust(_NAME, b"\0")
        fd = transport.get_extra_info("socket").fileno()
        try:
            socket.send_fds(to.to, [name], [fd])
        except OSError:  # there are as many on their way as the system lets wait
            return False
        self._left -= 1
        self._handed(listener)
        # Closes our descriptor of it; the connection lives on in the other.
        transport.abort()
        return True

    def _on_handed(self) -> None:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._end, _NAME, 1)
            except BlockingIOError:
                return
            if not fds:  # as many descriptors are open as may be
                continue
            self._own[Column.ADOPTING] += 1
            name = data.rstrip(b"\0").decode()
            self._adopt(name, socket.socket(fileno=fds[0]), self._arrived)

    def _arrived(self) -> None:
        self._own[Column.ADOPTING] -= 1


def _waiting(way: Lane) -> int:
    """How many connections are on this way."""
    size = array.array("i", [0])
    fcntl.ioctl(way.end, termios.FIONREAD, size)
    return size[0] // _NAME
