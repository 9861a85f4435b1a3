"""Plain text tables: names to the left, figures to the right."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [_line(head, widths), "  ".join("-" * width for width in widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join(padded).rstrip()


def number(value: float) -> str:
    """With thousands set apart, and one decimal where it says something."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f}"


def mebibytes(kibibytes: float) -> str:
    return f"{kibibytes / 1024:.1f}"
