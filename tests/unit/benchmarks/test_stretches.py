"""Which requests count as those of a quiet second, and which as those of a change."""

from __future__ import annotations

import threading
import time

from benchmarks.load.stretches import LENGTH, Latency, Stretch, Stretches, compare, divide

_TWO = [Stretch(10.0, changing=False, waited=0.001), Stretch(11.0, changing=True, waited=0.004)]


def test_a_request_belongs_to_the_second_that_it_was_due_in() -> None:
    times = [(9.9, 1.0), (10.0, 3.0), (10.99, 2.0), (11.0, 50.0), (11.5, 4.0), (12.0, 9.0)]
    assert divide(times, _TWO) == ([2.0, 3.0], [4.0, 50.0])


def test_what_is_slow_is_measured_by_the_quiet_ones() -> None:
    quiet = [(10.0 + n / 1000, float(n)) for n in range(1, 101)]
    changing = [(11.0 + n / 1000, float(n)) for n in range(61, 161)]
    found = compare([*changing, *quiet], _TWO)
    assert found == (Latency(100, 50.0, 99.0, 1.0, 10.0), Latency(100, 110.0, 159.0, 61.0, 40.0))


def test_every_other_second_has_a_change() -> None:
    changes: list[float] = []
    changed = threading.Event()

    def change() -> None:
        changes.append(time.perf_counter())
        changed.set()

    with Stretches(change, time.perf_counter) as stretches:
        assert changed.wait(30 * LENGTH)
    assert [each.changing for each in stretches.found] == [False]
    assert stretches.found[0].waited >= LENGTH
    assert len(changes) == 1
    assert changes[0] >= stretches.found[0].begin + LENGTH
