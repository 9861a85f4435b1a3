"""Revisions of the repository as folders."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = "."


class NoRevision(Exception):
    """There is no such revision; the message is one line."""


class Revision(NamedTuple):
    """``commit`` "": the checkout as it stands."""

    name: str
    commit: str


def find_revision(root: Path, text: str) -> Revision:
    """What the user means; raises `NoRevision`."""
    if text == HERE:
        return Revision("checkout", "")
    commit = _git(root, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}")
    if not commit:
        raise NoRevision(f"{text!r} is not a revision of this repository")
    short = _git(root, "rev-parse", "--short", commit)
    return Revision(short if commit.startswith(text) else f"{text} ({short})", commit)


@contextmanager
def worktree(root: Path, revision: Revision, folder: Path) -> Iterator[Path]:
    """A folder with the revision's files, for as long as the context lasts."""
    if not revision.commit:
        yield root
        return
    path = folder / f"{revision.commit[:12]}-{len(list(folder.iterdir()))}"
    _git(root, "worktree", "add", "--detach", "--quiet", str(path), revision.commit)
    if not path.is_dir():
        raise NoRevision(f"git could not make a worktree of {revision.name}")
    try:
        yield path
    finally:
        _git(root, "worktree", "remove", "--force", str(path))


def _git(root: Path, *arguments: str) -> str:
    """What git prints; "" where it fails."""
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""
