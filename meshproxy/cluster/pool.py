"""Which open connection of an endpoint carries the next request.

Pure bookkeeping: it never closes or dials. A method that finds connections that should go returns
them, and the caller closes them. HTTP/1 connections carry one request at a time and wait here in
between; HTTP/2 connections stay here while they can take another stream.
"""

from __future__ import annotations

from typing import Any, Protocol


class Pooled(Protocol):
    """What the pool has to know of a connection."""

    idle_since: float

    def close(self) -> None: ...


class Pool:
    """The connections of one endpoint that are ready for a request."""

    __slots__ = ("_idle", "_max_idle", "max_streams", "open", "shared")

    def __init__(self, max_idle: int) -> None:
        self._idle: list[Pooled] = []  # the one used last at the end
        self._max_idle = max_idle
        self.open = 0  # connections that exist: busy, idle or being dialled
        self.shared: list[Any] = []  # HTTP/2 connections with room for another stream
        # At a time on one HTTP/2 connection, by the peer's latest settings; 0: it has said nothing.
        self.max_streams = 0

    def take(self) -> Pooled | None:
        """The connection used last, which the peer is least likely to have given up on."""
        return self._idle.pop() if self._idle else None

    def put(self, connection: Pooled) -> Pooled | None:
        """Keep a connection that is idle from now on; returns one that is too many."""
        self._idle.append(connection)
        return self._idle.pop(0) if len(self._idle) > self._max_idle else None

    def forget(self, connection: Pooled) -> None:
        """The connection has closed, or must not be used again."""
        try:
            self._idle.remove(connection)
        except ValueError:
            pass
        try:
            self.shared.remove(connection)
        except ValueError:
            pass

    def expired(self, before: float) -> list[Pooled]:
        """Take out the connections that have been idle since before that time."""
        gone = []
        while self._idle and self._idle[0].idle_since < before:
            gone.append(self._idle.pop(0))
        return gone

    def drain(self) -> list[Pooled]:
        """Take out every idle connection."""
        gone = list(self._idle)
        self._idle.clear()
        return gone

    @property
    def idle(self) -> int:
        return len(self._idle)
