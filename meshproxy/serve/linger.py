"""What is left of a connection whose answer has been written while the client still sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meshproxy.aio.timers import Timers


class Discard(asyncio.Protocol):
    """Throws away what still comes, until the client ends or ``seconds`` have passed.

    ``lost`` is called when the connection is gone.
    """

    def __init__(
        self,
        timers: Timers,
        seconds: float,
        transport: asyncio.Transport,
        lost: Callable[[Exception | None], None],
    ) -> None:
        self._lost = lost
        transport.resume_reading()
        self._timer = timers.after(seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._lost(exc)
