"""Who runs where."""

from __future__ import annotations

import pytest

from benchmarks.machine.cpus import Split, pinned, split


@pytest.mark.parametrize(
    ("available", "workers", "expected"),
    [
        pytest.param((0,), 1, Split(), id="one cpu is shared"),
        pytest.param((0, 1), 1, Split((0,), (1,)), id="two"),
        pytest.param((0, 1), 2, Split((0,), (1,)), id="one is left for the load"),
        pytest.param((2, 3, 6, 7), 2, Split((2, 3), (6, 7)), id="a part of the machine"),
    ],
)
def test_a_proxy_has_processors_of_its_own(
    available: tuple[int, ...], workers: int, expected: Split
) -> None:
    assert split(available, workers) == expected


def test_a_pinned_command() -> None:
    assert pinned(["wrk"], (2, 3)) == ["taskset", "-c", "2,3", "wrk"]
    assert pinned(["wrk"], ()) == ["wrk"]


def test_it_is_said() -> None:
    assert str(Split((0,), (1, 2))) == "proxy on cpu 0, load and upstream on cpu 1,2"
    assert str(Split()) == "nothing pinned"
