"""What `scripts/compile.py` compiles is there: a module that has moved would run slower."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = runpy.run_path(str(ROOT / "scripts/compile.py"))["SOURCES"]


@pytest.mark.parametrize("source", SOURCES)
def test_sources_exist(source: str) -> None:
    assert (ROOT / source).is_file()
