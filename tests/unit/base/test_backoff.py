from __future__ import annotations

import pytest

from meshproxy.base.backoff import full_jitter


@pytest.mark.parametrize(
    ("attempt", "draw", "wait"),
    [
        (1, 1.0, 0.025),
        (2, 1.0, 0.075),
        (3, 0.5, 0.0875),
        (9, 1.0, 0.25),
        (60, 1.0, 0.25),
        (1, 0.0, 0),
    ],
)
def test_full_jitter(attempt: int, draw: float, wait: float) -> None:
    assert full_jitter(attempt, 0.025, 0.25, lambda: draw) == pytest.approx(wait)
