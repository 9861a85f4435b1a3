"""Revisions as folders, in a small repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.revisions import NoRevision, Revision, find_revision, worktree

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    for text in ("one", "two"):
        (root / "file").write_text(text)
        git(root, "add", "file")
        git(root, "commit", "--quiet", "--message", text)
    (root / "file").write_text("three")
    return root


def test_a_commit_as_a_folder(repository: Path, tmp_path: Path) -> None:
    revision = find_revision(repository, "HEAD~1")
    with worktree(repository, revision, tmp_path) as folder:
        assert (folder / "file").read_text() == "one"
        assert len(git(repository, "worktree", "list").splitlines()) == 2
    assert not folder.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_the_checkout_as_it_stands(repository: Path, tmp_path: Path) -> None:
    revision = find_revision(repository, ".")
    assert revision == Revision("checkout", "")
    with worktree(repository, revision, tmp_path) as folder:
        assert (folder / "file").read_text() == "three"
    assert folder.exists()


def test_names_are_those_that_were_given(repository: Path) -> None:
    short = git(repository, "rev-parse", "--short", "HEAD")
    assert find_revision(repository, "main").name == f"main ({short})"
    assert find_revision(repository, short).name == short


def test_no_such_revision(repository: Path) -> None:
    with pytest.raises(NoRevision, match="'branch-that-is-not' is not a revision"):
        find_revision(repository, "branch-that-is-not")
