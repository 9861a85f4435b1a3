"""Access-log files, written in batches by a thread of their own.

A sink that does not take its lines (a full pipe, a slow disk) would otherwise stop the loop and
with it every connection of the worker. Lines that do not fit the bounded queue are dropped and
counted. Envoy does the same: a flush thread, 1 s or 64 KiB.

The loop joins the lines and the thread only writes: each time that the interpreter changes hands
costs both some 50 µs, and a thread that takes the lines one by one has each from another
processor's cache.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import stat
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum
from queue import SimpleQueue

_log = logging.getLogger(__name__)

_BATCH = 128 * 1024  # characters that are handed over without waiting for the next flush


class _Order(Enum):
    """What the thread is told besides batches."""

    REOPEN = "reopen"
    STOP = "stop"


class LogWriter:
    """One file. Everything public is for the loop, who also calls `flush` from time to time.

    ``turn`` makes what is held while a batch is written to anything but a regular file: other
    workers' lines must not come between.
    """

    def __init__(
        self,
        path: str,
        max_bytes: int,
        dropped: Callable[[], None],
        turn: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._dropped = dropped
        self._turn = turn
        self._lines: list[str] = []  # the loop's
        self._queue: SimpleQueue[tuple[bytes, int] | _Order] = SimpleQueue()
        # Each counter has one writer, so that neither needs a lock.
        self._added = 0  # characters, by the loop
        self._written = 0  # characters, by the thread
        self._next_batch = _BATCH
        self._fd = -1
        self._regular = False
        self._flusher = threading.Thread(target=self._run, name=f"log {path}", daemon=True)
        self._flusher.start()

    def write(self, line: str) -> None:
        added = self._added
        if added - self._written > self._max_bytes:
            self._dropped()
            return
        self._lines.append(line)
        self._added = added = added + len(line)
        if added > self._next_batch:
            self.flush()

    def flush(self) -> None:
        """Hand over what there is."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._next_batch = self._added + _BATCH
            text = "".join(lines)
            self._queue.put((text.encode("utf-8", "replace"), len(text)))

    def reopen(self) -> None:
        """Open the path anew: somebody has moved the file away."""
        self.flush()
        self._queue.put(_Order.REOPEN)

    def close(self, seconds: float = 2.0) -> None:
        """Write what is there, but do not wait for ever on a sink that takes nothing."""
        self.flush()
        self._queue.put(_Order.STOP)
        self._flusher.join(seconds)

    # The thread.

    def _run(self) -> None:
        while (item := self._queue.get()) is not _Order.STOP:
            if item is _Order.REOPEN:
                self._shut()
                self._opened()
            else:
                self._write_batch(*item)
        self._shut()

    def _opened(self) -> bool:
        """Whether there is an open file. The thread opens it: a FIFO waits for its reader."""
        if self._fd < 0:
            try:
                self._fd = _open(self._path)
                self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
            except OSError as error:
                _log.error("the access log %s can't be opened: %s", self._path, error.strerror)
        return self._fd >= 0

    def _shut(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write_batch(self, data: bytes, size: int) -> None:
        try:
            if not self._opened():
                self._dropped()
            elif self._regular:
                _write_all(self._fd, data)
            else:
                with self._turn():
                    _write_all(self._fd, data)
        except OSError:
            self._dropped()
        self._written += size


class SinkError(Exception):
    """An access log can't be written; the text is a sentence for people."""


def check_sink(path: str) -> None:
    """Find out now whether the path can be opened for writing. Raises `SinkError`."""
    if path in _STANDARD:
        return
    try:
        os.close(os.open(path, _FLAGS | os.O_NONBLOCK, 0o644))
    except OSError as error:
        if error.errno != errno.ENXIO:  # a FIFO that nobody reads yet
            reason = f"the access log {path} can't be opened: {error.strerror}"
            raise SinkError(reason) from None


_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


def _open(path: str) -> int:
    if path in _STANDARD:
        # Opening it again fails where it is a socket, or a pipe of another user.
        return os.dup(_STANDARD[path])
    return os.open(path, _FLAGS, 0o644)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            # Whoever shares the sink with us made it non-blocking.
            select.select([], [fd], [], 1.0)
