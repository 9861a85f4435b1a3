"""Messages between the supervisor and a worker, with open file descriptors where needed.

A stream socket; each message is a head (length, kind, number of descriptors) and a body. What
arrives is worked through in short slices, so that a large configuration does not hold up the loop
that carries requests.
"""

from __future__ import annotations

import array
import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from enum import IntEnum

_HEAD = struct.Struct("!IBB")
_READ = 256 * 1024
_SLICE = 0.001  # seconds of work before requests get their turn
_MOST_FDS = 64


class Kind(IntEnum):
    # To a worker.
    LISTEN = 1  # pickled (name, how it captures); descriptors
    UNLISTEN = 2  # pickled name
    PARTS = 3  # pickled [(PartKey, part or None)]
    COMMIT = 4  # pickled generation
    STATS = 5  # empty
    DRAIN = 6  # empty
    STOP = 7  # empty
    REOPEN = 8  # empty
    LOG_LEVEL = 9  # pickled (logger, level)
    HOSTS = 10  # empty
    NAMES = 11  # pickled {host name: Answer or None}
    SECRETS = 12  # pickled {SecretRef: Secret or None}
    # From a worker.
    COMMITTED = 32  # pickled generation
    REJECTED = 33  # pickled (generation, reason)
    COUNTS = 34  # marshalled dump
    BUSY = 35  # pickled number of connections with work in flight
    STOPPED = 36  # marshalled last dump
    HOST_COUNTS = 37  # marshalled counts of endpoints


OnMessage = Callable[[Kind, bytes, list[int]], None]


class Channel:
    """One end. ``on_message`` and ``on_close`` are called from the loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_message: OnMessage,
        on_close: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._on_message = on_message
        self._on_close = on_close
        self._in = bytearray()
        self._fds: deque[int] = deque()
        self._out: deque[tuple[memoryview, list[int]]] = deque()
        self._working = False
        self._ended = False
        self.closed = False
        loop.add_reader(sock, self._readable)

    def send(self, kind: Kind, body: bytes = b"", fds: tuple[int, ...] = ()) -> None:
        """Queue a message; the descriptors must stay open until it is sent."""
        if self.closed:
            return
        head = _HEAD.pack(len(body), kind, len(fds))
        self._out.append((memoryview(head + body), list(fds)))
        if len(self._out) == 1:
            self._writable()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._on_close()

    def _writable(self) -> None:
        while self._out:
            data, fds = self._out[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                sent = self._sock.sendmsg([data], rights)
            except BlockingIOError:
                self._loop.add_writer(self._sock, self._writable)
                return
            except OSError:
                self.close()
                return
            if sent == len(data):
                self._out.popleft()
            else:
                self._out[0] = (data[sent:], [])
        self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        try:
            data, fds = socket.recv_fds(self._sock, _READ, _MOST_FDS)[:2]
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self._fds.extend(fds)
        if data:
            self._in += data
        else:
            self._ended = True
            self._loop.remove_reader(self._sock)
        if not self._working:
            self._work()

    def _work(self) -> None:
        """Hand out whole messages until the slice is used up."""
        until = self._loop.time() + _SLICE
        self._working = False
        while len(self._in) >= _HEAD.size and not self.closed:
            length, kind, count = _HEAD.unpack_from(self._in)
            end = _HEAD.size + length
            if len(self._in) < end:
                break
            body = bytes(self._in[_HEAD.size : end])
            del self._in[:end]
            self._on_message(Kind(kind), body, [self._fds.popleft() for _ in range(count)])
            if self._loop.time() > until:
                self._working = True
                self._loop.call_soon(self._work)
                return
        if self._ended:
            self.close()
