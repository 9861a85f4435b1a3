"""Text tables."""

from __future__ import annotations

import math

from meshproxy.demo.tables import milliseconds, paragraph, percent, table


def test_numbers_stand_right_and_texts_left() -> None:
    shown = table(("name", "calls"), [("v1", 3612), ("inventory", 9)])
    assert shown.splitlines() == [
        "  name        calls",
        "  v1           3612",
        "  inventory       9",
    ]


def test_several_columns_of_text_leave_no_blanks_at_the_end() -> None:
    shown = table(("pod", "address"), [("order", "10.0.0.1"), ("v2", "-")], texts=2)
    assert shown.splitlines() == ["  pod     address", "  order   10.0.0.1", "  v2      -"]


def test_a_table_of_nothing_is_its_head() -> None:
    assert table(("a", "b"), []) == "  a   b"


def test_times_and_shares() -> None:
    assert milliseconds(0.00342) == "3.4 ms"
    assert milliseconds(math.nan) == "-"
    assert percent(89.96) == "90.0 %"


def test_prose_is_broken_between_words_alone() -> None:
    lines = paragraph("inventory-v1 " * 20).splitlines()
    assert len(lines) > 1
    assert all(line.startswith("  ") and len(line) <= 96 for line in lines)
    assert all(line.endswith("inventory-v1") for line in lines)
