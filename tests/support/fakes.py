"""Stand-ins for what the data path touches: a transport, a loop's clock, chance."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import socket
from collections.abc import Callable
from typing import Any


class FakeTransport:
    """Keeps what is written, and what else was done to it, in order.

    ``written`` is taken with `take`. `fill` and `empty` play a slow peer: the protocol is told to
    stop and to go on, as a real transport's buffer limits would have it.
    """

    def __init__(self, peer: tuple[str, int] = ("10.0.0.9", 4242)) -> None:
        self.written = b""
        self.writes = 0
        self.reading = True
        self.eof_written = False
        self.closed = False
        self.aborted = False
        self.protocol: Any = None
        self.extra = {"peername": peer, "sockname": ("10.0.0.1", 80), "socket": _Quiet()}

    def connect(self, protocol: Any) -> FakeTransport:
        self.protocol = protocol
        protocol.connection_made(self)
        return self

    def receive(self, data: bytes) -> None:
        """Bytes come from the peer."""
        assert self.reading, "data while reading is paused"
        self.protocol.data_received(data)

    def end(self) -> None:
        """The peer ends its side."""
        if not self.protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None = None) -> None:
        """The connection is gone."""
        if not self.aborted or self.protocol is not None:
            protocol, self.protocol = self.protocol, None
            self.closed = True
            if protocol is not None:
                protocol.connection_lost(error)

    def fill(self) -> None:
        self.protocol.pause_writing()

    def empty(self) -> None:
        self.protocol.resume_writing()

    def take(self) -> bytes:
        written, self.written = self.written, b""
        return written

    # What protocols call.

    def write(self, data: bytes) -> None:
        assert not self.closed, "written after close"
        self.written += data
        self.writes += 1

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def write_eof(self) -> None:
        self.eof_written = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.extra.get(name, default)


class _Quiet:
    """A socket on which nothing happens: one end of a pair nobody uses."""

    _pair = socket.socketpair()

    def fileno(self) -> int:
        return self._pair[0].fileno()

    def setsockopt(self, *args: object) -> None:
        pass


class FakeClock:
    """A clock and the part of a loop that timers use; `advance` makes time pass."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self._calls: list[tuple[float, int, Callable[[], Any]]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def call_at(self, when: float, callback: Callable[[], Any]) -> None:
        heapq.heappush(self._calls, (when, next(self._order), callback))

    def call_soon(self, callback: Callable[[], Any]) -> None:
        """Soon is now: nothing else goes on."""
        callback()

    def advance(self, seconds: float) -> None:
        """Let time pass, calling back what comes due on the way."""
        end = self.now + seconds
        while self._calls and self._calls[0][0] <= end:
            when, _, callback = heapq.heappop(self._calls)
            self.now = max(self.now, when)
            callback()
        self.now = end


class NoLimits:
    """`serve.serving.Limits` without any; counts what is open."""

    def __init__(self) -> None:
        self.open = 0

    def connection_opened(self, most: int) -> bool:
        if most and self.open >= most:
            return False
        self.open += 1
        return True

    def connection_closed(self) -> None:
        self.open -= 1


class Draws:
    """A random source that gives what it was told to, again and again."""

    def __init__(self, *values: float) -> None:
        self._values = itertools.cycle(values or (0.5,))

    def __call__(self) -> float:
        return next(self._values)


def as_transport(fake: FakeTransport) -> asyncio.Transport:
    """The fake, for those who ask for a transport by type."""
    return fake  # type: ignore[return-value]
