"""What a load tells when it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class LoadError(Exception):
    """The load itself failed; the message is one line."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """``errors``: how many requests of each sort of failure, without those that had none.

    ``times``, where they were asked for: of each request when it was due, in seconds of
    `time.perf_counter`, and how long it took from then on, in µs.
    """

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    errors: Mapping[str, int] = field(default_factory=dict)
    times: Sequence[tuple[float, float]] = ()
