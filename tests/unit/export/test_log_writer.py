"""Access-log files: complete, in whole lines, and never in the way."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path

from meshproxy.export.log_writer import LogWriter
from meshproxy.runtime.page import Page, new_page


def writer(path: str, max_bytes: int = 1 << 20) -> tuple[LogWriter, list[int]]:
    dropped: list[int] = []
    return LogWriter(path, max_bytes, lambda: dropped.append(1)), dropped


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
    log, _ = writer(str(path))
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


def test_a_flush_writes_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log, _ = writer(str(path))
    log.write("one\n")
    log.flush()
    while not path.exists() or not path.read_text():
        pass
    assert path.read_text() == "one\n"
    log.close()


def test_a_batch_is_written_without_a_flush(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log, _ = writer(str(path))
    for _ in range(200):
        log.write("x" * 999 + "\n")
    while not path.exists() or not path.read_text().endswith("\n"):
        pass
    assert set(path.read_text().splitlines()) == {"x" * 999}
    log.close()


def _write_many(page_fd: int, path: str, mark: str) -> None:
    page = Page(page_fd)
    log = LogWriter(path, 1 << 24, lambda: None, lambda: page.turn(path))
    for number in range(2000):
        log.write(mark * (number % 900 + 1) + "\n")
    log.close(20)


def test_lines_of_two_workers_stay_whole_on_a_pipe(tmp_path: Path) -> None:
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    page_fd = new_page()
    fork = multiprocessing.get_context("fork")
    held = os.open(fifo, os.O_RDWR)  # so that it does not end before both have opened it
    lines: list[bytes] = []
    with open(fifo, "rb") as out:
        reader = threading.Thread(target=lambda: lines.extend(out))
        reader.start()
        workers = [
            fork.Process(target=_write_many, args=(page_fd, fifo, mark)) for mark in ("a", "b")
        ]
        for each in workers:
            each.start()
        for each in workers:
            each.join()
        os.close(held)
        reader.join()
    os.close(page_fd)
    assert len(lines) == 4000
    assert all(len(set(line.strip())) == 1 for line in lines)
