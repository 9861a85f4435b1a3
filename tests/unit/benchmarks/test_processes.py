"""Starting programs, what they write to the pipe, and that they are ended."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.machine.processes import Process, StartError
from benchmarks.machine.sink import Sink
from benchmarks.machine.tools import Missing, find


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has waited for does not."""
    try:
        return "(sleep) Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_it_writes_is_counted(tmp_path: Path) -> None:
    sink = Sink()
    script = "import sys; sys.stdout.write('x' * 300_000); sys.stdout.flush(); sys.exit(3)"
    with (
        Process("writer", [sys.executable, "-c", script], (), tmp_path / "log", sink) as process,
        pytest.raises(StartError, match="writer ended with 3: it said nothing"),
    ):
        process.wait_for_port(1)
    assert sink.bytes == 300_000


def test_children_are_ended_too(tmp_path: Path) -> None:
    # The child ignores SIGTERM and is not waited for by its parent.
    script = "trap '' TERM; (sleep 60) & echo $! >&2; trap - TERM; wait"
    with Process("sh", ["sh", "-c", script], (), tmp_path / "log") as process:
        while not process.log_text().strip():
            pass
        child = int(process.log_text())
        assert alive(child)
    assert not alive(process.pid)
    while alive(child):
        pass  # it has been sent its signal, and may take a moment to go


def test_the_last_line_says_why(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo one >&2; echo 'port in use' >&2; exit 1"]
    with (
        Process("it", command, (), tmp_path / "log") as process,
        pytest.raises(StartError, match="it ended with 1: port in use"),
    ):
        process.wait_for_port(1)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file"):
        Process("it", [str(tmp_path / "none")], (), tmp_path / "log")
    with pytest.raises(Missing, match=r"^none-such is missing \(apt-get install none-such\)$"):
        find("none-such")
