"""Figures of what the load generator saw."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

OK = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. ``status`` 0: no answer, and ``error`` says why.

    ``versions`` of the inventory have answered for it.
    """

    started: float
    seconds: float
    status: int
    versions: tuple[str, ...] = ()
    error: str = ""
    receipt: int = 0  # bytes sent to the echo

    @property
    def failed(self) -> bool:
        return self.status != OK


@dataclass(frozen=True, slots=True)
class Figures:
    """Many samples. Times in seconds."""

    requests: int = 0
    failed: int = 0
    statuses: Mapping[int, int] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    p50: float = math.nan
    p99: float = math.nan


def figures(samples: Iterable[Sample]) -> Figures:
    """Counts, and percentiles of the answered requests."""
    taken = list(samples)
    times = sorted(sample.seconds for sample in taken if sample.status)
    return Figures(
        len(taken),
        sum(sample.failed for sample in taken),
        dict(sorted(Counter(sample.status for sample in taken).items())),
        dict(sorted(Counter(name for sample in taken for name in sample.versions).items())),
        percentile(times, 50),
        percentile(times, 99),
    )


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed; NaN of none."""
    if not ascending:
        return math.nan
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]


def shares(counts: Mapping[str, float]) -> dict[str, float]:
    """Counts or weights as percentages of their sum."""
    total = sum(counts.values())
    return {name: 100 * count / total if total else 0.0 for name, count in counts.items()}
