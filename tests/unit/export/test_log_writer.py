"""Access-log files: complete, in whole lines, and never in the way."""

from __future__ import annotations

import os
from pathlib import Path

from meshproxy.export.log_writer import LogWriter, _pieces


def writer(path: str, max_bytes: int = 1 << 20, flush: float = 0.01) -> tuple[LogWriter, list[int]]:
    dropped: list[int] = []
    return LogWriter(path, max_bytes, flush, lambda: dropped.append(1)), dropped


def test_everything_is_written_by_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log, dropped = writer(str(path))
    for number in range(10_000):
        log.write(f"line {number}\n")
    log.close()
    assert path.read_text().splitlines() == [f"line {number}" for number in range(10_000)]
    assert not dropped


def test_it_appends(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    log, _ = writer(str(path))
    log.write("after\n")
    log.close()
    assert path.read_text() == "before\nafter\n"


def test_reopening_after_a_rename(tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    log, _ = writer(str(path), flush=5)
    log.write("one\n")
    log.reopen()
    while not path.exists() or not path.read_text():
        pass
    path.rename(moved)
    log.reopen()
    while not path.exists():
        pass
    log.write("two\n")
    log.close()
    assert (moved.read_text(), path.read_text()) == ("one\n", "two\n")


def test_a_sink_that_takes_nothing_costs_lines_and_not_time(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log, dropped = writer(str(fifo), max_bytes=200_000)
    for _ in range(10_000):
        log.write("x" * 99 + "\n")
    assert dropped
    log.close(0.01)
    os.close(reader)


def test_lines_stay_whole_on_a_pipe() -> None:
    lines = b"".join(b"%d " % number + b"x" * (number % 900) + b"\n" for number in range(500))
    pieces = _pieces(lines, False)
    assert b"".join(pieces) == lines
    assert all(len(piece) <= 4096 and piece.endswith(b"\n") for piece in pieces)


def test_a_line_longer_than_a_pipe_takes_at_once() -> None:
    lines = b"a\n" + b"x" * 10_000 + b"\nb\n"
    pieces = _pieces(lines, False)
    assert b"".join(pieces) == lines
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert _pieces(lines, True) == [lines]
