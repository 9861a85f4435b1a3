"""Counts that must be true over all workers: one row a worker, one writer a row.

A page of memory shared by all processes. A worker writes only its own row; whoever wants to know
adds up a column. The supervisor hands out rows and zeroes the row of a worker that has died, so
that what it held is given back.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import zlib
from collections.abc import Iterator
from enum import IntEnum

ROWS = 130  # workers, and their replacements while the old ones still drain


class Column(IntEnum):
    HEARTBEAT = 0  # milliseconds of the monotonic clock, when the worker was last seen running
    CONNECTIONS = 1  # downstream connections open
    GENERATION = 2  # of the plan that it runs; 0: none yet, or no more
    ADOPTING = 3  # connections that others have handed to it, and that it does not count yet


_COLUMNS = 8
_CELL = 8
SIZE = ROWS * _COLUMNS * _CELL


class Page:
    """The shared memory, by its file descriptor (`new_page` makes one)."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._memory = mmap.mmap(fd, SIZE)
        self._cells = memoryview(self._memory).cast("Q")

    def row(self, number: int) -> memoryview:
        """One worker's row: ``row[Column.CONNECTIONS] += 1``."""
        return self._cells[number * _COLUMNS : (number + 1) * _COLUMNS]

    def total(self, column: Column) -> int:
        return sum(self._cells[column::_COLUMNS].tolist())

    def clear(self, number: int) -> None:
        """Give back what a dead worker held."""
        row = self.row(number)
        for column in range(_COLUMNS):
            row[column] = 0

    @contextlib.contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Hold what one process at a time may hold; given back when its holder dies.

        Locks are on bytes behind the page's end, one for a name (POSIX, fcntl).
        """
        byte = SIZE + zlib.crc32(name.encode())
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, byte)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, byte)


def new_page() -> int:
    """The file descriptor of a fresh page, all zero; inherited by children that are told of it."""
    fd = os.memfd_create("meshproxy-page", os.MFD_CLOEXEC)
    os.ftruncate(fd, SIZE)
    return fd


class PageLimits:
    """`serve.serving.Limits` over the shared page."""

    def __init__(self, page: Page, row: int) -> None:
        self._page = page
        self._row = page.row(row)

    def connection_opened(self, most: int) -> bool:
        # Count first, then look: two workers at once may both turn away, but never both admit.
        self._row[Column.CONNECTIONS] += 1
        if most and self._page.total(Column.CONNECTIONS) > most:
            self._row[Column.CONNECTIONS] -= 1
            return False
        return True

    def connection_closed(self) -> None:
        self._row[Column.CONNECTIONS] -= 1
