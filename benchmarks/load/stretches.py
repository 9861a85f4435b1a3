"""Quiet seconds and seconds with a change in turns, under a load that knows nothing of either.

What one change does to requests is less than what a machine does to them from one minute to the
next. So both are measured in the same minutes and compared with each other.
"""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.report.stats import percentile

LENGTH = 1.0  # seconds of a stretch


class Stretch(NamedTuple):
    """From ``begin`` on, of `time.perf_counter`; ``changing``: with a change at its beginning.

    ``waited``: seconds that the one who answers was ready meanwhile, and had no processor.
    """

    begin: float
    changing: bool
    waited: float = 0.0


class Stretches:
    """Calls ``change`` in every other second, in a thread, until it is left.

    ``waited`` tells for how many seconds somebody has waited for a processor so far.
    """

    def __init__(self, change: Callable[[], None], waited: Callable[[], float]) -> None:
        self._change = change
        self._waited = waited
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.found: list[Stretch] = []

    def __enter__(self) -> Stretches:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        begin, waited = time.perf_counter(), self._waited()
        for number in itertools.count():
            changing = number % 2 == 1
            if changing:
                self._change()
            begun, begin = begin, begin + LENGTH
            if self._done.wait(begin - time.perf_counter()):
                return  # what was left before its end does not count
            before, waited = waited, self._waited()
            self.found.append(Stretch(begun, changing, waited - before))


@dataclass(frozen=True, slots=True)
class Latency:
    """Of all requests that were due in stretches of one kind; ``p50`` and ``p99`` in µs.

    ``slow``: the share that took longer than 99 of 100 in quiet stretches, in percent.
    ``waited``: µs a request for which whoever answers waited for a processor.
    """

    requests: int
    p50: float
    p99: float
    slow: float
    waited: float


def compare(
    times: Iterable[tuple[float, float]], stretches: Sequence[Stretch]
) -> tuple[Latency, Latency]:
    """The quiet ones and the changing ones; ``times`` are those of a `LoadResult`."""
    quiet, changing = divide(times, stretches)
    limit = percentile(quiet, 99)
    return _latency(quiet, limit, stretches, False), _latency(changing, limit, stretches, True)


def divide(
    times: Iterable[tuple[float, float]], stretches: Sequence[Stretch]
) -> tuple[list[float], list[float]]:
    """What requests took in quiet stretches and in changing ones, ascending."""
    begins = [stretch.begin for stretch in stretches]
    found: tuple[list[float], list[float]] = ([], [])
    for due, taken in times:
        at = bisect_right(begins, due) - 1
        if at >= 0 and due < begins[at] + LENGTH:
            found[stretches[at].changing].append(taken)
    return sorted(found[False]), sorted(found[True])


def _latency(
    taken: Sequence[float], limit: float, stretches: Sequence[Stretch], changing: bool
) -> Latency:
    slow = len(taken) - bisect_right(taken, limit)
    waited = sum(stretch.waited for stretch in stretches if stretch.changing is changing)
    return Latency(
        len(taken),
        percentile(taken, 50),
        percentile(taken, 99),
        100 * slow / len(taken),
        waited * 1e6 / len(taken),
    )
