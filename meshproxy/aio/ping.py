"""PING keepalive of an HTTP/2 connection: a peer that has gone without a word is noticed.

A machine that lost its power and a process that hangs send no end: until TCP gives up, a quarter of
an hour later or never, requests would wait for them. So every ``interval`` seconds the peer is
asked by PING (RFC 9113 section 6.7), and given up if nothing comes in ``timeout`` seconds after
that. As in Envoy (`connection_keepalive`) whatever comes is an answer, since that to the PING may
stand behind a lot of data.
"""

from __future__ import annotations

from typing import Protocol

from meshproxy.aio.timers import TICK, Timer, Timers


class Asked(Protocol):
    """The connection: ``heard`` is set by it whenever bytes come."""

    heard: bool

    def ping(self) -> None: ...

    def on_silence(self, reason: str) -> None:
        """There was no answer; ``reason`` is a sentence for people."""
        ...


class PingKeepalive:
    """Goes on until `stop`, or until there is silence."""

    def __init__(self, timers: Timers, interval: float, timeout: float, connection: Asked) -> None:
        self._after = timers.after
        self._rest = max(interval - timeout, 0.0)  # of the interval, once the answer is there
        self._timeout = timeout
        self._connection = connection
        self._timer: Timer = timers.after(interval, self._ask)

    def stop(self) -> None:
        self._timer.cancel()

    def _ask(self) -> None:
        self._connection.heard = False
        self._timer = self._after(self._timeout, self._on_timeout)
        self._connection.ping()

    def _on_timeout(self) -> None:
        if self._connection.heard:
            self._timer = self._after(self._rest, self._ask)
        else:
            # If it was we who stood still, the answer is there and is read before the next timer.
            self._timer = self._after(TICK, self._on_last_look)

    def _on_last_look(self) -> None:
        if self._connection.heard:
            self._timer = self._after(self._rest, self._ask)
        else:
            self._connection.on_silence(f"nothing came within {self._timeout:g} s of a PING")
