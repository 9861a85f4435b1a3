"""A run's name, and what tells a dead run from a living one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshproxy.demo import namespaces, run
from meshproxy.demo.run import PREFIX, Run, dead_runs, identity, new_run

DEAD = "4194305-1"  # no system gives out such a process id


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files alone, and no namespaces."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(run, "_OTHERS", ())
    monkeypatch.setattr(namespaces, "named", lambda prefix: [])
    return tmp_path


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(argv) as process:
        yield process
        process.kill()


def test_an_identity_stays_and_is_nobody_elses(sleeper: subprocess.Popen[bytes]) -> None:
    assert identity(os.getpid()) == identity(os.getpid())
    assert identity(sleeper.pid).partition("-")[0] == str(sleeper.pid)
    assert identity(sleeper.pid) != identity(os.getpid())


def test_this_run_is_not_a_dead_one(places: Path) -> None:
    mine = new_run()
    assert mine.folder.is_dir()
    assert dead_runs() == []
    mine.clear()
    assert list(places.iterdir()) == []


def test_a_dead_run_is_cleared_with_its_processes(
    places: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    (places / f"{PREFIX}{DEAD}").mkdir()
    (places / f"{PREFIX}{DEAD}" / "processes").write_text(identity(sleeper.pid), encoding="ascii")
    (dead,) = dead_runs()
    dead.clear()
    assert sleeper.wait(10) < 0
    assert list(places.iterdir()) == []


def test_a_process_id_that_belongs_to_somebody_else_now_is_left_alone(
    places: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    folder = places / f"{PREFIX}{DEAD}"
    folder.mkdir()
    (folder / "processes").write_text(f"{sleeper.pid}-1\n", encoding="ascii")
    Run(DEAD, folder).clear()
    assert sleeper.poll() is None


def test_names_that_only_begin_like_ours_are_somebody_elses(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (places / f"{PREFIX}mine").mkdir()
    (places / f"{PREFIX}{DEAD}-copy").mkdir()
    (places / f"{PREFIX}4194306-1").symlink_to(places)
    names = [f"{PREFIX}mine", f"{PREFIX}{DEAD}", f"{PREFIX}x-1-order"]
    monkeypatch.setattr(namespaces, "named", lambda prefix: names)
    assert dead_runs() == []


def test_a_namespace_alone_tells_of_a_dead_run(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(namespaces, "named", lambda prefix: [f"{PREFIX}{DEAD}-inventory-v1"])
    assert [dead.token for dead in dead_runs()] == [DEAD]


def test_starting_over_leaves_an_empty_folder(places: Path) -> None:
    mine = new_run()
    (mine.folder / "config").mkdir()
    mine.start_over()
    assert list(mine.folder.iterdir()) == []
    mine.clear()
