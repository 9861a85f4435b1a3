"""The command line."""

from __future__ import annotations

import pytest

from benchmarks.http1 import choose
from benchmarks.options import Options, parse
from benchmarks.peers.catalogue import CATALOGUE, COSTS, QUICK, USUAL
from benchmarks.rounds import Schedule


def given(*arguments: str) -> Options:
    return parse("text", arguments, list(CATALOGUE))


def test_what_is_usual() -> None:
    assert given() == Options(Schedule(rounds=5, seconds=5, warm_up=2))
    assert [peer.name for peer in choose(given())] == list(USUAL)


def test_quick_takes_a_minute() -> None:
    options = given("--quick")
    assert options.schedule == Schedule(rounds=3, seconds=4, warm_up=1)
    assert [peer.name for peer in choose(options)] == list(QUICK)


def test_what_is_asked_for_wins() -> None:
    options = given("--quick", "--rounds", "9", "--only", "nginx,direct", "--unpinned")
    assert options.schedule == Schedule(rounds=9, seconds=4, warm_up=1)
    assert not options.pinned
    assert [peer.name for peer in choose(options)] == ["nginx", "direct"]


def test_costs() -> None:
    assert [peer.name for peer in choose(given("--costs", "--quick"))] == list(COSTS)


@pytest.mark.parametrize(
    "arguments", [("--only", "apache"), ("--rounds", "0"), ("--seconds", "1.5"), ("--rate", "-1")]
)
def test_what_makes_no_sense(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        given(*arguments)
    assert stopped.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_rows_are_called_what_they_are_asked_for_by() -> None:
    for name, make in CATALOGUE.items():
        assert make().name == name
