"""Access-log files, written in batches by a thread of their own.

A sink that does not take its lines (a full pipe, a slow disk) would otherwise stop the loop and
with it every connection of the worker. Lines that do not fit the bounded queue are dropped and
counted. Envoy does the same: a flush thread, 1 s or 64 KiB.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)

_BATCH = 128 * 1024  # characters after which the thread is woken early
_MOST_LINES = 2000  # joined at once: what the loop may have to wait for the interpreter
_PIPE_BUF = 4096  # a write of up to this much to a pipe is never torn apart (POSIX, write)


class LogWriter:
    """One file. `write` is for the loop; everything else happens in the thread."""

    def __init__(
        self, path: str, max_bytes: int, flush: float, dropped: Callable[[], None]
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._flush = flush
        self._dropped = dropped
        self._lines: deque[str] = deque()
        # Each counter has one writer, so that neither needs a lock.
        self._added = 0  # characters, by the loop
        self._written = 0  # characters, by the thread
        self._next_wake = _BATCH
        self._wake = threading.Event()
        self._reopen = False
        self._stop = False
        self._fd = -1
        self._thread = threading.Thread(target=self._run, name=f"log {path}", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        added = self._added
        if added - self._written > self._max_bytes:
            self._dropped()
            return
        self._lines.append(line)
        self._added = added = added + len(line)
        if added > self._next_wake:
            # One wake-up for each batch: the interpreter changes hands for it.
            self._next_wake = added + _BATCH
            self._wake.set()

    def reopen(self) -> None:
        """Open the path anew: somebody has moved the file away."""
        self._reopen = True
        self._wake.set()

    def close(self, seconds: float = 2.0) -> None:
        """Write what is there, but do not wait for ever on a sink that takes nothing."""
        self._stop = True
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stop:
            self._wake.wait(self._flush)
            self._wake.clear()
            self._drain()
            if self._reopen:
                self._reopen = False
                self._shut()
                self._opened()
        self._drain()
        self._shut()

    def _opened(self) -> bool:
        """Whether there is an open file. The thread opens it: a FIFO waits for its reader."""
        if self._fd < 0:
            try:
                self._fd = _open(self._path)
            except OSError as error:
                _log.error("the access log %s can't be opened: %s", self._path, error.strerror)
        return self._fd >= 0

    def _shut(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _drain(self) -> None:
        if self._lines and not self._opened():
            return
        while count := min(len(self._lines), _MOST_LINES):
            text = "".join([self._lines.popleft() for _ in range(count)])
            data = text.encode("utf-8", "replace")
            try:
                for piece in _pieces(data, stat.S_ISREG(os.fstat(self._fd).st_mode)):
                    _write_all(self._fd, piece)
            except OSError:
                self._dropped()
            self._written += len(text)


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


def _pieces(data: bytes, whole: bool) -> list[bytes]:
    """Cut into writes that other workers' lines can't come between."""
    if whole or len(data) <= _PIPE_BUF:
        return [data]
    pieces, start = [], 0
    while start < len(data):
        end = start + _PIPE_BUF
        if end < len(data):
            line_end = data.rfind(b"\n", start, end)
            end = line_end + 1 if line_end >= 0 else data.find(b"\n", end) + 1 or len(data)
        pieces.append(data[start:end])
        start = end
    return pieces


def _write_all(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            # Whoever shares the sink with us made it non-blocking.
            select.select([], [fd], [], 1.0)
