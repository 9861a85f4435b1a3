"""Timers for deadlines that mostly do not come: coarse, cheap to set and to drop.

A timer goes into a bucket of its tick; the loop is asked for one wake-up, that of the earliest
bucket. Setting one costs a dictionary look-up and an append, dropping one an assignment, where
``loop.call_later`` and its cancelling cost several times that for every request. A deadline is
kept up to one tick late, never early.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

TICK = 0.01


class Scheduler(Protocol):
    """The part of an event loop that timers need."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], Any]) -> Any: ...


class Timer:
    """A deadline. `cancel` may be called at any time, also after it came."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None] | None) -> None:
        self.callback = callback

    def cancel(self) -> None:
        self.callback = None


class Timers:
    """All timers of one loop."""

    def __init__(self, loop: Scheduler) -> None:
        self._loop = loop
        self._buckets: dict[int, list[Timer]] = {}
        self._due: list[int] = []  # heap of the buckets' ticks
        self._armed = 0  # the tick of the wake-up that counts; 0: none
        self._asked: set[int] = set()  # ticks of all wake-ups that are still to come

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` in ``seconds``, or up to a tick later."""
        tick = int((self._loop.time() + seconds) / TICK) + 1
        timer = Timer(callback)
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket.append(timer)
            return timer
        self._buckets[tick] = [timer]
        heapq.heappush(self._due, tick)
        if not self._armed or tick < self._armed:
            self._arm(tick)
        return timer

    def every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` again and again, as long as the loop lives."""

        def again() -> None:
            self.after(seconds, again)
            callback()

        self.after(seconds, again)

    def _arm(self, tick: int) -> None:
        self._armed = tick
        if tick not in self._asked:
            self._asked.add(tick)
            self._loop.call_at(tick * TICK, partial(self._wake, tick))

    def _wake(self, asked: int) -> None:
        self._asked.discard(asked)
        if asked != self._armed:
            return  # an earlier one has taken its place
        # The loop may be early by a rounding: what it was asked to wake for is due.
        now = max(self._loop.time() / TICK, asked)
        self._armed = 0
        while self._due and self._due[0] <= now:
            for timer in self._buckets.pop(heapq.heappop(self._due)):
                callback, timer.callback = timer.callback, None
                if callback is not None:
                    callback()
        if self._due and (not self._armed or self._due[0] < self._armed):
            self._arm(self._due[0])
