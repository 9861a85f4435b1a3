"""How much else ran on the processors that a proxy was measured on.

Ratios within a round survive a busy machine, but a run in which others had a large share of the
proxies' processor is better repeated: this is what says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine.procfs import TICKS


class CpuUse(NamedTuple):
    """Seconds since boot, of some processors together. ``steal``: given to other machines."""

    busy: float
    steal: float


def parse_cpu_use(text: str, cpus: Iterable[int]) -> CpuUse:
    """From ``/proc/stat``: user, nice, system, irq and softirq are busy."""
    wanted = {f"cpu{cpu}" for cpu in cpus}
    busy = steal = 0
    for line in text.splitlines():
        name, *fields = line.split()
        if name in wanted:
            user, nice, system, _, _, irq, softirq, stolen = map(int, fields[:8])
            busy += user + nice + system + irq + softirq
            steal += stolen
    return CpuUse(busy / TICKS, steal / TICKS)


def cpu_use(cpus: Iterable[int]) -> CpuUse:
    return parse_cpu_use(Path("/proc/stat").read_text(), cpus)


class Disturbance(NamedTuple):
    """Shares of the wall-clock time that others had on the proxies' processors."""

    others: float
    steal: float


def disturbance(before: CpuUse, after: CpuUse, own: float, wall: float, cpus: int) -> Disturbance:
    """``own``: the proxy's processor time in between, ``wall``: what passed; seconds."""
    if not cpus:
        return Disturbance(0.0, 0.0)  # nothing is pinned: the load is among the others
    room = wall * cpus
    others = after.busy - before.busy - own
    return Disturbance(max(0.0, others / room), max(0.0, (after.steal - before.steal) / room))
