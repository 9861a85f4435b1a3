"""Reading /proc: what is summed, and who counts as a worker."""

from __future__ import annotations

import os

from benchmarks.machine.procfs import (
    TICKS,
    CpuTime,
    Memory,
    Stat,
    cpu_time,
    descendants,
    leaves,
    memory,
    parse_schedstat,
    parse_smaps_rollup,
    parse_stat,
    read_tree,
    waited,
)

_REST = "R 7 70 70 0 -1 4194304 1 2 3 4 250 125 9 9 20 0 1 0 100 1000 50"


def test_a_stat_line() -> None:
    assert parse_stat(f"42 (nginx) {_REST}") == Stat(pid=42, parent=7, user=250, system=125)


def test_a_command_with_blanks_and_brackets_in_its_name() -> None:
    assert parse_stat(f"42 (a) b (c)) {_REST}").parent == 7


def test_who_waited_for_a_processor() -> None:
    assert parse_schedstat("707051 2500000 1\n") == 0.0025
    assert waited(os.getpid()) >= 0.0
    assert waited(2**30) == 0.0


def test_a_tree_is_who_was_started_by_whom() -> None:
    stats = [Stat(1, 0, 1, 1), Stat(5, 1, 2, 2), Stat(6, 5, 4, 4), Stat(9, 1, 8, 8)]
    tree = descendants(5, stats)
    assert sorted(tree) == [5, 6]
    assert leaves(tree) == [6]
    assert cpu_time(tree) == CpuTime(6 / TICKS, 6 / TICKS)


def test_a_process_that_has_ended_has_no_tree() -> None:
    assert descendants(77, [Stat(1, 0, 1, 1)]) == {}
    assert cpu_time({}) == CpuTime(0, 0)


def test_one_process_alone_is_its_own_worker() -> None:
    assert leaves(descendants(5, [Stat(5, 1, 0, 0)])) == [5]


def test_times_are_taken_apart() -> None:
    spent = CpuTime(3.0, 2.0).minus(CpuTime(1.0, 0.5))
    assert spent == CpuTime(2.0, 1.5)
    assert spent.total == 3.5


def test_memory_from_a_rollup() -> None:
    text = (
        "5581-7ffd ---p 00000000 00:00 0    [rollup]\n"
        "Rss:       9000 kB\nPss:       4200 kB\nPss_Dirty:  900 kB\n"
        "Private_Clean:    300 kB\nPrivate_Dirty:   1500 kB\n"
    )
    assert parse_smaps_rollup(text) == Memory(pss=4200, private=1800)


def test_this_very_process() -> None:
    tree = read_tree(os.getpid())
    assert os.getpid() in tree
    assert cpu_time(tree).total > 0
    assert memory(os.getpid()).pss > 1000
    assert memory(2**22 + 1) == Memory(0, 0)
