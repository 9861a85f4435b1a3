"""Names are looked up again when their time is over, and no sooner."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from meshproxy.aio.timers import Timers
from meshproxy.cluster.names import Answer
from meshproxy.upstream.resolve import Fault, Found, Outcome, Resolver
from tests.support.fakes import FakeClock

DEAD = Fault("10.0.0.53:53 says SERVFAIL")
NOBODY = Fault("no such name", denied=True)


class Scene:
    """A resolver whose lookups are answered by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.asked: list[tuple[str, Callable[[Outcome], None]]] = []
        self.told: list[dict[str, Answer | None]] = []
        self.known: dict[str, Answer | None] = {}
        self.resolver = Resolver(
            Timers(self.clock),
            lambda name, done: self.asked.append((name, done)),
            self._tell,
            lambda: 0.0,
        )

    def _tell(self, told: Mapping[str, Answer | None]) -> None:
        self.told.append(dict(told))
        self.known.update(told)

    def want(self, *names: str, refresh: float = 60.0, most: int = 10) -> None:
        self.resolver.want(names, refresh, most)

    def answer(self, outcome: Outcome) -> None:
        """To the oldest question."""
        self.asked.pop(0)[1](outcome)

    def seconds_to_next(self) -> float:
        """Until something is asked again."""
        waited = 0.0
        while not self.asked:
            self.clock.advance(0.1)
            waited += 0.1
            assert waited < 7200, "never asked again"
        return round(waited, 1)


def one(outcome: Outcome, **more: float) -> Scene:
    scene = Scene()
    scene.want("db", **more)  # type: ignore[arg-type]
    scene.answer(outcome)
    return scene


def test_the_time_to_live_decides_when_to_look_again() -> None:
    for ttl, wait in ((30.0, 30.0), (0.0, 1.0), (0.5, 1.0), (None, 60.0), (86_400.0, 3600.0)):
        scene = one(Found(("10.0.0.1",), ttl))
        assert scene.known == {"db": Answer(("10.0.0.1",))}
        assert 0 <= scene.seconds_to_next() - wait < 0.15, ttl


def test_a_changed_answer_is_told_and_an_equal_one_is_not() -> None:
    scene = one(Found(("10.0.0.1",), 5.0))
    scene.seconds_to_next()
    scene.answer(Found(("10.0.0.1",), 5.0))
    assert len(scene.told) == 1
    scene.seconds_to_next()
    scene.answer(Found(("10.0.0.2",), 5.0))
    assert scene.told[1:] == [{"db": Answer(("10.0.0.2",))}]


def test_addresses_stay_while_servers_fail_and_tries_get_rarer() -> None:
    scene = one(Found(("10.0.0.1",), 5.0))
    waits = []
    for _ in range(9):
        waits.append(scene.seconds_to_next())
        scene.answer(DEAD)
    assert scene.known == {"db": Answer(("10.0.0.1",), DEAD.reason)}
    assert [round(wait) for wait in waits] == [5, 1, 2, 4, 8, 16, 32, 60, 60]
    scene.seconds_to_next()
    scene.answer(Found(("10.0.0.2",), 5.0))
    assert scene.known == {"db": Answer(("10.0.0.2",))}


def test_a_name_without_an_address_is_tried_more_often() -> None:
    scene = one(DEAD)
    assert scene.known == {"db": Answer((), DEAD.reason)}
    waits = []
    for _ in range(6):
        waits.append(scene.seconds_to_next())
        scene.answer(DEAD)
    assert [round(wait) for wait in waits] == [1, 2, 4, 8, 10, 10]
    assert len(scene.told) == 1


def test_a_name_is_gone_when_servers_say_so_again_and_again() -> None:
    scene = one(Found(("10.0.0.1",), 5.0))
    for kept in (("10.0.0.1",), ("10.0.0.1",), ()):
        scene.seconds_to_next()
        scene.answer(NOBODY)
        assert scene.known == {"db": Answer(kept, "no such name")}


def test_a_failure_in_between_begins_the_count_anew() -> None:
    scene = one(Found(("10.0.0.1",), 5.0))
    for outcome in (NOBODY, NOBODY, DEAD, NOBODY, NOBODY):
        scene.seconds_to_next()
        scene.answer(outcome)
    answer = scene.known["db"]
    assert answer is not None
    assert answer.addresses == ("10.0.0.1",)


def test_answers_are_bounded() -> None:
    scene = one(Found(tuple(f"10.0.0.{at}" for at in range(99)), 5.0), most=3)
    answer = scene.known["db"]
    assert answer is not None
    assert len(answer.addresses) == 3


def test_what_is_not_wanted_any_more_is_forgotten() -> None:
    scene = one(Found(("10.0.0.1",), 5.0))
    scene.want("other")
    assert scene.known["db"] is None
    assert [name for name, _ in scene.asked] == ["other"]
    scene.answer(Found(("10.0.0.9",), 600.0))
    scene.clock.advance(100)
    assert not scene.asked


def test_a_late_answer_to_what_is_not_wanted_is_dropped() -> None:
    scene = Scene()
    scene.want("db")
    scene.want()
    scene.answer(Found(("10.0.0.1",), 5.0))
    assert scene.known == {"db": None}


def test_only_so_many_lookups_at_once() -> None:
    scene = Scene()
    scene.want(*(f"n{at}" for at in range(100)))
    assert len(scene.asked) == 32
    for _ in range(100):
        scene.answer(Found(("10.0.0.1",), 600.0))
    assert scene.resolver.counts == {"found": 100, "denied": 0, "failed": 0}
