"""Durations as Go and protobuf write them: ``1h``, ``1m30s``, ``500ms``, ``1.5s``."""

from __future__ import annotations

import re

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 9_223_372_036.0  # seconds: what fits Go's 64 bits of nanoseconds


def parse_duration(text: str) -> float:
    """Seconds. Raises ``ValueError`` for what Go's ``time.ParseDuration`` would refuse."""
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None:
            raise ValueError(text)
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if not rest or total > _LONGEST:
        raise ValueError(text)
    return sign * round(total, 9)
