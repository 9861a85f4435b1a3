"""Text tables for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

_GAP = "   "
_INDENT = "  "
_WIDTH = 96


def table(header: Sequence[str], rows: Sequence[Sequence[object]], texts: int = 1) -> str:
    """Columns as wide as they need: ``texts`` of them begin, the others end, under their heads."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    return "\n".join(_line(row, widths, texts) for row in cells)


def _line(row: Sequence[str], widths: Sequence[int], texts: int) -> str:
    cells = [
        cell.ljust(width) if at < texts else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return (_INDENT + _GAP.join(cells)).rstrip()


def paragraph(text: str) -> str:
    """Prose, in lines that fit."""
    return textwrap.fill(
        text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
    )


def milliseconds(seconds: float) -> str:
    """``3.4 ms``; a dash for no number."""
    return "-" if seconds != seconds else f"{seconds * 1000:.1f} ms"


def percent(share: float) -> str:
    return f"{share:.1f} %"
