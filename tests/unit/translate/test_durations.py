"""Durations in Go's spelling."""

from __future__ import annotations

import pytest

from meshproxy.translate.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("0s", 0.0), ("1h", 3600.0), ("1m30s", 90.0), ("500ms", 0.5), ("1.5s", 1.5),
        ("1h1m1s", 3661.0), ("250us", 0.00025), ("250µs", 0.00025), ("10ns", 1e-08), (".5s", 0.5),
        ("-1s", -1.0), ("+1s", 1.0), ("1.s", 1.0),
    ],
)  # fmt: skip
def test_good(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "1",
        "1 s",
        "1d",
        "1S",
        "s1",
        "1s1",
        "-",
        "+",
        "1e3s",
        "9.9e-07s",
        "∞",
        "9" * 12 + "h",
    ],
)
def test_bad(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_duration(text)
