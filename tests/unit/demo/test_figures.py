"""Percentiles, counts and shares of what the load generator saw."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.demo.figures import Sample, figures, percentile, shares


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7.0], 50, 7.0),
        ([7.0], 99, 7.0),
        ([1.0, 2.0], 50, 1.0),
        ([1.0, 2.0, 3.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 50, 50.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 102)], 99, 100.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_percentile(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_nothing_has_no_percentile() -> None:
    assert math.isnan(percentile([], 50))


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 100))
def test_a_percentile_is_the_smallest_value_that_suffices(
    values: list[float], percent: float
) -> None:
    values.sort()
    found = percentile(values, percent)
    assert sum(value <= found for value in values) >= len(values) * percent / 100
    below = sum(value < found for value in values)
    assert below == 0 or below < len(values) * percent / 100


def test_figures_of_samples() -> None:
    found = figures(
        [
            Sample(0.0, 0.010, 200, ("v1", "v1", "v2")),
            Sample(0.1, 0.030, 200, ("v1",)),
            Sample(0.2, 0.020, 502, error="status 502"),
            Sample(0.3, 9.000, 0, error="TimeoutError"),
        ]
    )
    assert (found.requests, found.failed) == (4, 2)
    assert found.statuses == {0: 1, 200: 2, 502: 1}
    assert found.versions == {"v1": 3, "v2": 1}
    # A request without an answer has no time.
    assert (found.p50, found.p99) == (0.020, 0.030)


def test_figures_of_nothing() -> None:
    found = figures([])
    assert found.requests == 0
    assert math.isnan(found.p50)


def test_shares_are_percentages_of_the_sum() -> None:
    assert shares({"v1": 45, "v2": 5}) == {"v1": 90.0, "v2": 10.0}
    assert shares({"v1": 0}) == {"v1": 0.0}
