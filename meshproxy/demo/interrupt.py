"""Ctrl-C and its kin, noticed at chosen places only, so that cleaning up is never cut short."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from meshproxy.base.clock import SystemClock

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STEP = 0.02


class Interrupted(Exception):
    """The user, or the machine, wants the demo to end."""


class Interrupt:
    """Use it as a context manager; within, signals only set `asked`."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Signals wait, also for programs that are started meanwhile.

        Between its fork and its own session a program could still be hit by a second Ctrl-C.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def check(self) -> None:
        """Raise `Interrupted` if so asked."""
        if self.asked:
            raise Interrupted

    def sleep(self, seconds: float) -> None:
        self.wait(lambda: False, seconds)

    def wait(self, condition: Callable[[], bool], patience: float) -> bool:
        """Whether the condition came true in time. Raises `Interrupted`."""
        end = SystemClock.monotonic() + patience
        while True:
            self.check()
            if condition():
                return True
            left = end - SystemClock.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_STEP, left))
