"""The few statistics that are used, each where a mean would be misled by one bad round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple


class Spread(NamedTuple):
    """A median, and the least and greatest of what it was taken from."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed (nearest rank); ``ordered`` ascends."""
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(0, rank - 1)]


def ratios(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """Round by round. Machines drift from round to round; two neighbours drift together."""
    return [value / other for value, other in zip(values, base, strict=True) if other > 0]
