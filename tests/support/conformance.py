"""Cases that other projects wrote, kept outside of this repository.

`MESHPROXY_CONFORMANCE` names their folder. Without it `../shared/conformance` beside the repository
is tried, and where there is none, the tests that need it are skipped and say so.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
VARIABLE = "MESHPROXY_CONFORMANCE"


def folder(name: str) -> Path | None:
    """One corpus, or `None` where this machine has none."""
    root = Path(os.environ.get(VARIABLE) or REPOSITORY.parent / "shared" / "conformance")
    found = root / name
    return found if found.is_dir() else None


def cases(name: str, file: str) -> list[Any]:
    """What `pytest.mark.parametrize` takes: the cases of one file, or one that is skipped."""
    found = folder(name)
    if found is None or not (found / file).is_file():
        reason = f"no conformance data: {VARIABLE} names no folder with {name}/{file}"
        return [pytest.param(None, id=f"no-{name}", marks=pytest.mark.skip(reason))]
    listed = yaml.safe_load((found / file).read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=case["name"]) for case in listed]


def text(name: str, file: str) -> str:
    """A file of a corpus that `cases` found."""
    found = folder(name)
    assert found is not None, f"{name} is gone"
    return (found / file).read_text(encoding="utf-8")
