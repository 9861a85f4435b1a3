"""The one place that reads the time. Everything else is handed a Clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks in seconds: one that only goes forward, one that people read."""

    def monotonic(self) -> float: ...

    def wall(self) -> float:
        """Seconds since the epoch."""
        ...


class SystemClock:
    """The machine's clocks. The builtins are bound directly: the data path calls them often."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
