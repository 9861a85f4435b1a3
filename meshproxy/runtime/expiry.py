"""How long certificates and revocation lists live on, and when that must be said.

Times are seconds since the epoch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from math import inf

from meshproxy.identity.crl import RevocationList
from meshproxy.identity.x509 import Certificate
from meshproxy.model.secret import Secret

MARKS = (0.5, 0.25, 0.1)  # of a life that is left: a warning at each
REPEAT = 60.0  # seconds between two words about one that is not valid
LIST_MARK = 0.25  # of the time between two lists: by then the next one should have come
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


class ListWords:
    """What there is to say of revocation lists: a warning once, of an end again and again."""

    def __init__(self) -> None:
        self._warned: set[RevocationList] = set()
        self._said: dict[RevocationList, float] = {}

    def news(
        self, lists: Iterable[RevocationList], place: str, now: float
    ) -> list[tuple[int, str]]:
        """Level and text of what has to be said now. ``place`` is where the lists stand."""
        there = frozenset(lists)
        self._warned &= there
        self._said = {each: said for each, said in self._said.items() if each in there}
        found = []
        for each in sorted(there, key=lambda each: each.next_update):
            whose = f"{place}: the revocation list of {each.issuer}"
            if now >= each.next_update:
                if now - self._said.get(each, -inf) >= REPEAT:
                    self._said[each] = now
                    text = (
                        f"{whose} has expired at {when(each.next_update)}: replace it; whoever"
                        " shows a certificate of that authority is refused (crl_expired)"
                    )
                    found.append((logging.ERROR, text))
            elif each not in self._warned and _list_left(each, now) <= LIST_MARK:
                self._warned.add(each)
                text = f"{whose} has not been replaced: it expires at {when(each.next_update)}"
                found.append((logging.WARNING, text))
        return found


def _list_left(each: RevocationList, now: float) -> float:
    if each.next_update == inf:
        return 1.0
    return life_left(each.this_update, each.next_update, now)


def first_list_ends(lists: Iterable[RevocationList]) -> float | None:
    """When the first of them does; None where none does."""
    ends = [each.next_update for each in lists if each.next_update < inf]
    return min(ends, default=None)
