"""Names kept fresh: each is looked up again when its answer's time to live is over.

No request ever waits for a refresh: addresses stay in use until newer ones are there. While a name
can't be resolved the old ones stay too, and it is tried again at growing intervals; only a server's
repeated word that there is no such name takes them away (RFC 8767 4: stale data bridges failures,
not answers). The supervisor runs this and tells the workers what changes, so that a name is asked
for once a sidecar, and the loops that carry requests know nothing of DNS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from meshproxy.aio.timers import Timer, Timers
from meshproxy.cluster.names import Answer

_LEAST = 1.0  # seconds between two looks at a name, whatever its time to live says
_LONGEST = 3600.0
_SLOWEST_RETRY = 10.0  # of a name without any address: somebody may be waiting for it
_DENIALS = 3  # a server's word that a name is gone counts when it was said so often in a row
_JITTER = 0.1  # seconds, as Istio has it
_MOST_AT_ONCE = 32  # lookups on their way: each holds a socket


class Found(NamedTuple):
    """``ttl`` in seconds; None: nobody said."""

    addresses: tuple[str, ...]
    ttl: float | None = None


class Fault(NamedTuple):
    """``denied``: a server said that there is no such name, or no address of it."""

    reason: str
    denied: bool = False


Outcome = Found | Fault
Ask = Callable[[str, Callable[[Outcome], None]], None]
"""Look up a name and call back, later."""
Tell = Callable[[Mapping[str, Answer | None]], None]
"""Take answers that are new; None: the name is not looked at any more."""


class _Name:
    """One name: what is known of it, and how its last lookups went."""

    __slots__ = ("answer", "denials", "failures", "timer")

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.failures = 0
        self.denials = 0
        self.timer: Timer | None = None

    def take(self, outcome: Outcome, refresh: float, most: int) -> float:
        """Take what a lookup found; the seconds until the next one."""
        if isinstance(outcome, Found):
            self.failures = self.denials = 0
            self.answer = Answer(outcome.addresses[:most])
            ttl = refresh if outcome.ttl is None else outcome.ttl
            return min(max(ttl, _LEAST), _LONGEST)
        self.failures += 1
        self.denials = self.denials + 1 if outcome.denied else 0
        kept = self.answer.addresses if self.answer is not None else ()
        if self.denials >= _DENIALS:
            kept = ()
        self.answer = Answer(kept, outcome.reason)
        slowest = refresh if kept else min(refresh, _SLOWEST_RETRY)
        return max(_LEAST, min(slowest, _LEAST * 2.0 ** min(self.failures - 1, 16)))


class Resolver:
    """``draw`` gives floats in ``[0, 1)``."""

    def __init__(self, timers: Timers, ask: Ask, tell: Tell, draw: Callable[[], float]) -> None:
        self._timers = timers
        self._ask = ask
        self._tell = tell
        self._draw = draw
        self._names: dict[str, _Name] = {}
        self._queue: deque[str] = deque()
        self._running = 0
        self.counts = {"found": 0, "denied": 0, "failed": 0}  # lookups by what became of them
        self._refresh = 60.0
        self._most = 1

    def want(self, names: Iterable[str], refresh: float, most: int) -> None:
        """From now on keep these names fresh, and no others.

        ``refresh``: seconds, where no time to live is known. ``most``: addresses of one name.
        """
        self._refresh, self._most = refresh, most
        wanted = dict.fromkeys(names)
        gone = [name for name in self._names if name not in wanted]
        for name in gone:
            timer = self._names.pop(name).timer
            if timer is not None:
                timer.cancel()
        if gone:
            self._tell(dict.fromkeys(gone))
        for name in wanted:
            if name not in self._names:
                self._names[name] = _Name()
                self._queue.append(name)
        self._start()

    def _start(self) -> None:
        while self._queue and self._running < _MOST_AT_ONCE:
            name = self._queue.popleft()
            entry = self._names.get(name)
            if entry is not None:
                self._running += 1
                self._ask(name, partial(self._took, name, entry))

    def _took(self, name: str, entry: _Name, outcome: Outcome) -> None:
        self._running -= 1
        self.counts[_result(outcome)] += 1
        if self._names.get(name) is entry:
            before = entry.answer
            delay = entry.take(outcome, self._refresh, self._most) + self._draw() * _JITTER
            entry.timer = self._timers.after(delay, partial(self._due, name, entry))
            if entry.answer != before:
                self._tell({name: entry.answer})
        self._start()

    def _due(self, name: str, entry: _Name) -> None:
        if self._names.get(name) is entry:
            self._queue.append(name)
            self._start()


def _result(outcome: Outcome) -> str:
    if isinstance(outcome, Found):
        return "found"
    return "denied" if outcome.denied else "failed"
