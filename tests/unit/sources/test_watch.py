"""Changes are told once, when they have come to rest; time is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from meshproxy.sources.files import Fingerprint, Seen, look
from meshproxy.sources.watch import INTERVAL, LONGEST, QUIET, Settler, Watcher


def state(number: int) -> Fingerprint:
    return (Seen("a.yaml", 1, number, number, 10),)


def run(settler: Settler, states: Callable[[float], Fingerprint], until: float) -> list[float]:
    """The times at which a change was told."""
    now, told = 0.0, []
    while now < until:
        step = settler.step(states(now), now)
        if step.tell:
            told.append(now)
        now += step.wait
    return told


def test_nothing_is_told_of_nothing() -> None:
    assert run(Settler(state(0)), lambda now: state(0), 5) == []


def test_one_change_is_told_once_and_soon() -> None:
    told = run(Settler(state(0)), lambda now: state(int(now >= 1)), 5)
    assert len(told) == 1
    assert QUIET <= told[0] - 1 < INTERVAL + 2 * QUIET


def test_changes_file_by_file_are_told_together() -> None:
    """A file every 20 ms for a fifth of a second, as an editor or a checkout writes them."""
    told = run(Settler(state(0)), lambda now: state(min(10, int(max(0, now - 1) / 0.02))), 5)
    assert len(told) == 1
    assert told[0] >= 1.2


def test_changes_without_end_are_told_all_the_same() -> None:
    told = run(Settler(state(0)), lambda now: state(int(now / 0.02)), 10)
    assert len(told) >= 4
    assert all(second - first >= LONGEST - INTERVAL for first, second in pairwise(told))


def test_a_change_that_is_taken_back_is_not_told() -> None:
    told = run(Settler(state(0)), lambda now: state(int(1 <= now < 1 + QUIET / 2)), 5)
    assert told == []


def test_what_was_read_is_not_told() -> None:
    settler = Settler(state(0))
    settler.rebase(state(1))
    assert run(settler, lambda now: state(1), 5) == []


def test_what_changed_between_reading_and_watching_is_told() -> None:
    assert len(run(Settler(state(0)), lambda now: state(1), 5)) == 1


class FakeLoop:
    """A clock and timers that run when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None], list[bool]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        cancelled = [False]
        self.timers.append((self.now + delay, callback, cancelled))

        class Handle:
            def cancel(self) -> None:
                cancelled[0] = True

        return Handle()

    def advance(self, until: float) -> None:
        while self.timers:
            self.timers.sort(key=lambda timer: timer[0])
            due, callback, cancelled = self.timers[0]
            if due > until:
                break
            self.timers.pop(0)
            self.now = max(self.now, due)
            if not cancelled[0]:
                callback()
        self.now = until


def watcher(
    loop: FakeLoop, changed: Callable[[], None], look: Callable[[str], Fingerprint]
) -> Watcher:
    made = Watcher("a", cast(asyncio.AbstractEventLoop, loop), changed, state(0), look)
    made.start()
    return made


def test_the_watcher_looks_and_calls_back() -> None:
    loop, calls = FakeLoop(), []
    made = watcher(loop, lambda: calls.append(loop.now), lambda path: state(int(loop.now >= 1)))
    loop.advance(3)
    assert len(calls) == 1
    made.stop()
    made.stop()
    loop.advance(10)
    assert all(cancelled[0] for _, _, cancelled in loop.timers) or not loop.timers


def test_a_slow_look_is_taken_less_often() -> None:
    loop, looks = FakeLoop(), []

    def slow(path: str) -> Fingerprint:
        looks.append(loop.now)
        loop.now += 0.5
        return state(0)

    watcher(loop, lambda: None, slow)
    loop.advance(60)
    assert len(looks) < 8


def test_watching_goes_on_after_a_failed_reload() -> None:
    loop, calls = FakeLoop(), []

    def fail() -> None:
        calls.append(loop.now)
        raise RuntimeError("reload")

    watcher(loop, fail, lambda path: state(int(loop.now)))
    with pytest.raises(RuntimeError, match="reload"):
        loop.advance(1.5)
    with pytest.raises(RuntimeError, match="reload"):
        loop.advance(2.5)
    assert len(calls) == 2


def test_rebase_is_handed_on() -> None:
    loop, calls = FakeLoop(), []
    made = watcher(loop, lambda: calls.append(1), lambda path: state(7))
    made.rebase(state(7))
    loop.advance(3)
    assert not calls


def test_a_real_file_on_a_real_loop(tmp_path: Path) -> None:
    place = tmp_path / "a.yaml"
    place.write_text("a: 1")

    async def wait_for_change() -> None:
        loop = asyncio.get_running_loop()
        seen = asyncio.Event()
        real = Watcher(str(tmp_path), loop, seen.set, look(str(tmp_path)))
        real.start()
        (tmp_path / "new").write_text("a: 2")
        (tmp_path / "new").rename(place)
        await asyncio.wait_for(seen.wait(), 10)
        real.stop()

    asyncio.run(wait_for_change())
