"""How long certificates live on, and when that must be said. Times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from meshproxy.identity.x509 import Certificate
from meshproxy.model.secret import Secret

MARKS = (0.5, 0.25, 0.1)  # of a life that is left: a warning at each
REPEAT = 60.0  # seconds between two words about one that is not valid
DAY = 86400.0


def life_left(not_before: float, not_after: float, now: float) -> float:
    """The part of a life that is left, from 1 to 0."""
    whole = not_after - not_before
    return min(1.0, max(0.0, (not_after - now) / whole)) if whole > 0 else 0.0


def mark(secret: Secret, now: float) -> float:
    """The lowest mark that is reached; 1 above all of them."""
    left = life_left(secret.not_before, secret.not_after, now)
    return min((each for each in MARKS if left <= each), default=1.0)


def days_until_first(certificates: Iterable[Certificate], now: float) -> int | None:
    """Whole days until the first of them expires, as Envoy counts; None without any."""
    ends = [each.not_after for each in certificates]
    return max(0, int((min(ends) - now) // DAY)) if ends else None


def invalid(path: Iterable[Certificate], now: float) -> str:
    """What of a certificate's way to its root is not valid now, as a part of a sentence; or ""."""
    for at, each in enumerate(path):
        who = "" if at == 0 else f" (its issuer {each.subject})"
        if now >= each.not_after:
            return f"has expired at {when(each.not_after)}{who}"
        if now < each.not_before:
            return f"is not valid before {when(each.not_before)}{who}"
    return ""


def when(seconds: float) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
