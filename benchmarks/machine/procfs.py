"""Processor time and memory of process trees, from ``/proc`` (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")  # a second


class Stat(NamedTuple):
    """The part of ``/proc/PID/stat`` that counts here. Times are clock ticks."""

    pid: int
    parent: int
    user: int
    system: int


class CpuTime(NamedTuple):
    """Seconds. The sum is exact to a tick for each process, how it splits is sampled by ticks."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def minus(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(self.user - earlier.user, self.system - earlier.system)


class Memory(NamedTuple):
    """KiB. ``pss``: shared pages are divided by the number of processes that map them."""

    pss: int
    private: int


def parse_stat(text: str) -> Stat:
    # The command's name stands in brackets and may hold spaces and brackets itself.
    start, _, rest = text.rpartition(")")
    fields = rest.split()
    return Stat(int(start.split(" ", 1)[0]), int(fields[1]), int(fields[11]), int(fields[12]))


def parse_smaps_rollup(text: str) -> Memory:
    sizes = {}
    for line in text.splitlines()[1:]:
        name, _, value = line.partition(":")
        sizes[name] = int(value.split()[0])
    return Memory(sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"])


def descendants(root: int, stats: Iterable[Stat]) -> dict[int, Stat]:
    """``root`` and all that it started, by pid."""
    by_pid = {stat.pid: stat for stat in stats}
    children: dict[int, list[int]] = {}
    for stat in by_pid.values():
        children.setdefault(stat.parent, []).append(stat.pid)
    found: dict[int, Stat] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in by_pid and pid not in found:
            found[pid] = by_pid[pid]
            waiting += children.get(pid, [])
    return found


def leaves(tree: Mapping[int, Stat]) -> list[int]:
    """Processes without children: of every proxy here, those that carry traffic."""
    parents = {stat.parent for stat in tree.values()}
    return sorted(pid for pid in tree if pid not in parents)


def read_tree(root: int) -> dict[int, Stat]:
    """What is now; a process that has ended and was not yet waited for is part of it."""
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stats.append(parse_stat(path.read_text()))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return descendants(root, stats)


def total(times: Iterable[CpuTime]) -> CpuTime:
    found = list(times)
    return CpuTime(sum(each.user for each in found), sum(each.system for each in found))


def cpu_time(tree: Mapping[int, Stat]) -> CpuTime:
    return CpuTime(
        sum(stat.user for stat in tree.values()) / TICKS,
        sum(stat.system for stat in tree.values()) / TICKS,
    )


def parse_schedstat(text: str) -> float:
    """From ``/proc/PID/schedstat``: seconds that it was ready to run and waited for a processor."""
    return int(text.split()[1]) / 1e9


def waited(pid: int) -> float:
    """Seconds that a process' first thread was ready to run and waited; 0 once it has ended."""
    try:
        return parse_schedstat(Path(f"/proc/{pid}/schedstat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def memory(pid: int) -> Memory:
    try:
        return parse_smaps_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return Memory(0, 0)  # it has ended
