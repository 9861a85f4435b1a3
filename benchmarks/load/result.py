"""What a load tells when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class LoadError(Exception):
    """The load itself failed; the message is one line."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """``errors``: how many requests of each sort of failure, without those that had none."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    errors: Mapping[str, int] = field(default_factory=dict)
