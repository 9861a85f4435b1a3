"""Deadlines: late by a tick at most, never early, and cheap to drop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from meshproxy.aio.timers import TICK, Timers
from tests.support.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.01, 0.5, 1.0, 3600.0])
def test_never_early_and_at_most_a_tick_late(clock: FakeClock, seconds: float) -> None:
    timers, start, came = Timers(clock), clock.now, []
    timers.after(seconds, lambda: came.append(clock.now - start))
    clock.advance(seconds + 2 * TICK)
    assert len(came) == 1
    assert seconds <= came[0] + 1e-9
    assert came[0] <= seconds + TICK + 1e-9


def test_order_and_cancelling(clock: FakeClock) -> None:
    timers, came = Timers(clock), []
    timers.after(3.0, lambda: came.append("three"))
    timers.after(1.0, lambda: came.append("one"))
    dropped = timers.after(2.0, lambda: came.append("two"))
    timers.after(1.0, lambda: came.append("one again"))
    dropped.cancel()
    clock.advance(10)
    assert came == ["one", "one again", "three"]
    dropped.cancel()


def test_an_earlier_timer_does_not_make_a_later_one_early(clock: FakeClock) -> None:
    """Wake-ups that were asked for and then overtaken still come; they must not fire others."""
    timers, start, came = Timers(clock), clock.now, []
    timers.after(5.0, lambda: came.append(("late", clock.now - start)))
    timers.after(1.0, lambda: timers.after(9.0, lambda: came.append(("last", clock.now - start))))
    clock.advance(30)
    assert [name for name, _ in came] == ["late", "last"]
    assert came[0][1] >= 5.0
    assert came[1][1] >= 10.0


def test_a_timer_may_set_another_from_within(clock: FakeClock) -> None:
    timers, came = Timers(clock), []

    def again() -> None:
        came.append(clock.now)
        if len(came) < 3:
            timers.after(1.0, again)

    timers.after(1.0, again)
    clock.advance(10)
    assert len(came) == 3


def test_every(clock: FakeClock) -> None:
    timers, came = Timers(clock), []
    timers.every(0.5, lambda: came.append(clock.now))
    clock.advance(2.6)
    assert len(came) == 5


class Counted(FakeClock):
    """How often the loop was asked to wake up."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def call_at(self, when: float, callback: Callable[[], Any]) -> None:
        self.asked += 1
        super().call_at(when, callback)


def test_earlier_timers_leave_nothing_behind() -> None:
    """Each takes the place of a wake-up that was asked for; the loop then wakes no more often than
    before, however many there were."""
    clock = Counted()
    timers = Timers(clock)
    timers.every(1.0, lambda: None)
    for _ in range(100):
        timers.after(0.05, lambda: None)
        clock.advance(0.1)
    clock.asked = 0
    clock.advance(20)
    assert clock.asked <= 21


def test_a_wake_up_is_asked_for_once() -> None:
    clock = Counted()
    timers = Timers(clock)
    timers.after(5.0, lambda: None)
    for _ in range(10):
        timers.after(1.0, lambda: None).cancel()
        clock.advance(0.2)
    clock.advance(10)
    assert clock.asked <= 12
