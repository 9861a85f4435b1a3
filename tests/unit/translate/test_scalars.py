"""Plain words as Kubernetes reads them."""

from __future__ import annotations

import math

import pytest

from meshproxy.translate.scalars import Scalar, read_plain


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("No", False), ("on", True),
        ("0", 0), ("-12", -12), ("+5", 5), ("0x1F", 31), ("0o17", 15), ("0644", 420), ("0b101", 5),
        ("1_000", 1000), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        ("089", 89.0),
        (".inf", math.inf), ("-.inf", -math.inf),
        # Not what YAML 1.1 would make of them:
        ("2020-01-01", "2020-01-01"), ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("1:30", "1:30"), ("190:20:30", "190:20:30"), ("=", "="), ("<<", "<<"), ("y", "y"),
        ("n", "n"),
        # Words that only begin like numbers:
        ("1s", "1s"), ("1.2.3.4", "1.2.3.4"), ("v1", "v1"), ("-", "-"), ("+", "+"), (".", "."),
        ("0x", "0x"), ("0x_", "0x_"), ("1e", "1e"), ("9" * 65, "9" * 65),
    ],
)  # fmt: skip
def test_words(word: str, value: Scalar) -> None:
    found = read_plain(word)
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    found = read_plain(".nan")
    assert isinstance(found, float)
    assert math.isnan(found)
