"""Word that files have changed, once they have come to rest.

By looking, ten times a second, and not by inotify (`watchfiles`), for these reasons:

- An inotify instance is counted per user, 128 by default, and all sidecars of a node run as the
  same user: the 129th would silently watch nothing.
- It says nothing on file systems that change elsewhere (NFS, FUSE, 9p as in Docker Desktop).
- `watchfiles` costs 2.5 MB and a thread; a look at ten files costs 50 microseconds, at a thousand
  3 ms, and the time between looks grows with their cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from meshproxy.sources.files import Fingerprint, look

INTERVAL = 0.1  # seconds between looks
QUIET = 0.05  # nothing changed for so long: it is worth reading
LONGEST = 2.0  # then it is read even if the changes go on
_SHARE = 0.05  # of the time may be spent looking


class Step(NamedTuple):
    """What a look has led to."""

    tell: bool
    wait: float


class Settler:
    """Decides when changes have come to rest. It only knows fingerprints and times."""

    def __init__(self, baseline: Fingerprint) -> None:
        self._told = baseline
        self._last = baseline
        self._first_change: float | None = None
        self._last_change = 0.0

    def rebase(self, fingerprint: Fingerprint) -> None:
        """What was read: only what differs from this is news."""
        self._told = fingerprint

    def step(self, fingerprint: Fingerprint, now: float) -> Step:
        if fingerprint != self._last:
            self._last, self._last_change = fingerprint, now
            self._first_change = now if self._first_change is None else self._first_change
        if fingerprint == self._told:
            self._first_change = None
            return Step(False, INTERVAL)
        if self._first_change is None:
            self._first_change = self._last_change = now
        if now - self._last_change < QUIET and now - self._first_change < LONGEST:
            return Step(False, QUIET / 2)
        self._told, self._first_change = fingerprint, None
        return Step(True, INTERVAL)


class Watcher:
    """Looks at a place from an event loop and calls back when it has changed and come to rest.

    ``changed`` is called in the loop. The caller reads, and hands the reading's fingerprint to
    `rebase`, so that what was read is not told again.
    """

    def __init__(
        self,
        path: str,
        loop: asyncio.AbstractEventLoop,
        changed: Callable[[], None],
        baseline: Fingerprint = (),
        look_at: Callable[[str], Fingerprint] = look,
    ) -> None:
        self._path = path
        self._loop = loop
        self._changed = changed
        self._look = look_at
        self._settler = Settler(baseline)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._again(INTERVAL)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def rebase(self, fingerprint: Fingerprint) -> None:
        self._settler.rebase(fingerprint)

    def _again(self, wait: float) -> None:
        self._timer = self._loop.call_later(wait, self._tick)

    def _tick(self) -> None:
        begun = self._loop.time()
        fingerprint = self._look(self._path)
        now = self._loop.time()
        step = self._settler.step(fingerprint, now)
        # The timer runs again whatever becomes of the call: a failed reload must not end watching.
        self._again(max(step.wait, (now - begun) / _SHARE))
        if step.tell:
            self._changed()
