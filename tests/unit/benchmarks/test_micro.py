"""The micro benchmarks: that every case still runs, and how rounds are put together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.micro.__main__ import YARDSTICK, make, report
from benchmarks.micro.compare import render
from benchmarks.micro.exchange import ANSWER, CONNECTIONS, Exchanges
from benchmarks.micro.functions import FUNCTIONS
from benchmarks.micro.http2 import HTTP2, STREAMS, Http2Exchanges
from benchmarks.micro.timing import Block, Rounds, by_case, repeated, yardstick


@pytest.mark.parametrize("cases", [FUNCTIONS, HTTP2])
def test_every_function_is_still_there(cases: dict[str, Callable[[], Block]]) -> None:
    made, missing = make(cases)
    assert missing == {}
    assert list(made) == list(cases)


@pytest.mark.parametrize(("log", "codec"), [("json", "fast"), ("text", "h11"), ("off", "fast")])
def test_requests_go_through_a_worker(log: str, codec: str) -> None:
    exchanges = Exchanges(log, codec)
    exchanges.run(CONNECTIONS * 3)
    exchanges.close()
    assert exchanges.carried >= CONNECTIONS * 5
    # Both versions were called, and connections were used again.
    assert 2 <= len(exchanges.upstreams) <= CONNECTIONS * 2
    assert len(ANSWER) > 1024


@pytest.mark.parametrize("codec", ["fast", "h2"])
def test_streams_go_through_a_worker(codec: str) -> None:
    exchanges = Http2Exchanges("off", codec)
    exchanges.run(STREAMS * 3)
    exchanges.close()
    assert exchanges.carried >= STREAMS * 3 + CONNECTIONS
    assert len(exchanges.upstreams) == 2  # one for each version


def test_a_case_that_has_moved_is_left_out() -> None:
    def moved() -> None:
        raise ImportError("cannot import name 'x'")

    made, missing = make({"good": lambda: repeated(int), "moved": moved})  # type: ignore[dict-item]
    assert list(made) == ["good"]
    assert missing == {"moved": "ImportError: cannot import name 'x'"}


def test_rounds_are_nanoseconds_a_time() -> None:
    rounds = Rounds({YARDSTICK: repeated(yardstick)})
    found = by_case(rounds.one() for _ in range(3))
    assert all(200 < time_ < 1_000_000 for time_ in found[YARDSTICK])
    assert len(found[YARDSTICK]) == 3


def test_a_report_has_each_case_in_yardsticks() -> None:
    lines = report({YARDSTICK: [100.0, 200.0], "case": [250.0, 500.0]}).splitlines()
    assert lines[-1].split() == ["case", "250", "375", "2.50"]


def test_two_trees_are_compared_by_what_both_have() -> None:
    old = {"a": [100.0, 200.0, 100.0], "gone": [1.0, 1.0, 1.0]}
    new = {"a": [50.0, 100.0, 80.0], "fresh": [1.0, 1.0, 1.0]}
    lines = render(("old", old), ("new", new)).splitlines()
    assert len(lines) == 3
    assert lines[-1].split() == ["a", "100", "80", "0.50", "(0.50-0.80)"]
