"""SPIFFE IDs against the table of the standard's rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.identity import IdentityError
from meshproxy.identity.spiffe import parse
from tests.support.conformance import VARIABLE, folder

_ROW = re.compile(r"^\| (?P<ids>.*?) \| (?P<verdict>yes|no) \|", re.MULTILINE)
_HOST = "spiffe://example.org"


def table() -> list[Any]:
    root = folder(".")
    if root is None or not (root / "spiffe.md").is_file():
        return [pytest.param("", False, marks=pytest.mark.skip(f"{VARIABLE} has no spiffe.md"))]
    found = _ROW.finditer((root / "spiffe.md").read_text(encoding="utf-8"))
    return [pytest.param(*case, id=case[0] or "empty") for row in found for case in ids(row)]


def ids(row: re.Match[str]) -> Iterator[tuple[str, bool]]:
    """A row may name several; what starts with a slash is another path of the first one's host."""
    valid = row["verdict"] == "yes"
    for text in re.findall(r"`([^`]*)`", row["ids"]):
        yield (_HOST + text if text.startswith("/") else text), valid
    if "empty string" in row["ids"]:
        yield "", valid


@pytest.mark.parametrize(("text", "valid"), table())
def test_the_standards_table(text: str, valid: bool) -> None:
    if valid:
        assert str(parse(text)) == text
    else:
        with pytest.raises(IdentityError):
            parse(text)
