"""Writes of one turn of the loop, made at its end.

A write wakes whoever waits for it. Made at once, each write of a turn wakes its peer anew, just as
it was about to sleep; made together, peers are awake when the second comes. With 16 busy
connections that is a fifth of all processor time (waking another processor costs 5 µs), and all
that a connection has to say in a turn goes out in one system call.

A turn can read megabytes from one peer, so what waits for its end is bounded: a connection with
more than `BULK` bytes writes them at once, and its transport can say that the peer is slow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from mypy_extensions import trait

BULK: Final = 65536  # bytes; as much as a transport takes before it pauses its writer


@trait
class Writer:
    """Who has something to write."""

    __slots__ = ()

    def write_out(self) -> None:
        """Write it now. Called at the end of the turn; the connection may be gone by then."""
        raise NotImplementedError


class Soon(Protocol):
    """The part of an event loop that is needed here."""

    def call_soon(self, callback: Callable[[], Any]) -> Any: ...


class Outbox:
    """The connections of one loop that have something to write."""

    def __init__(self, loop: Soon) -> None:
        self._loop = loop
        self._waiting: list[Writer] = []

    def add(self, writer: Writer) -> None:
        self._waiting.append(writer)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for writer in waiting:
            writer.write_out()
