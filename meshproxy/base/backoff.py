"""Jittered exponential back-off as a pure function: how long to wait before try ``n``."""

from __future__ import annotations

from collections.abc import Callable


def full_jitter(attempt: int, base: float, cap: float, draw: Callable[[], float]) -> float:
    """Seconds to wait before retry number ``attempt`` (1 is the first retry).

    Uniform over ``[0, min(cap, (2**attempt - 1) * base))``, Envoy's rule for retries.
    ``draw`` returns a float in ``[0, 1)``.
    """
    return draw() * min(cap, (2.0 ** min(attempt, 30) - 1) * base)
