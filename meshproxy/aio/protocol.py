"""What connections on a transport have in common."""

from __future__ import annotations

import asyncio

from meshproxy.aio.outbox import BULK, Outbox, Writer


class Piecewise(asyncio.Protocol, Writer):
    """A connection whose output is made of pieces, and whose input can be stopped.

    Pieces are appended to ``_out``; `flush` hands them to the outbox, which has all of them written
    in one system call at the end of the loop's turn, or at once when they are many.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._transport: asyncio.Transport
        self._outbox = outbox
        self._out: list[bytes] = []  # since the last flush
        self._queue: list[bytes] = []  # flushed and not yet written
        self._queued = 0  # bytes of it
        self._stopped = False  # reading is paused
        self.wire_out = 0  # bytes flushed; subclasses begin anew with each message

    @property
    def transport(self) -> asyncio.Transport:
        return self._transport

    def flush(self) -> None:
        out = self._out
        if out:
            self._out = []
            size = 0
            for piece in out:
                size += len(piece)
            self.wire_out += size
            if self._queue:
                self._queue += out
                self._queued += size
            else:
                self._queue = out
                self._queued = size
                if size <= BULK:
                    self._outbox.add(self)
            if self._queued > BULK:
                self.write_out()

    def write_out(self) -> None:
        queue, self._queue = self._queue, []
        if queue and not self._transport.is_closing():
            self._transport.writelines(queue)

    def _pause_reading(self) -> None:
        if not self._stopped and not self._transport.is_closing():
            self._stopped = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._stopped and not self._transport.is_closing():
            self._stopped = False
            self._transport.resume_reading()
