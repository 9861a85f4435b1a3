"""Measuring in turns: A B C, A B C, ... so that what the machine does meanwhile hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from benchmarks.load.result import LoadError, LoadResult
from benchmarks.machine.cpus import Split
from benchmarks.machine.disturbance import cpu_use, disturbance
from benchmarks.machine.procfs import CpuTime, total
from benchmarks.report.sample import Sample


class Load(Protocol):
    def run(self, port: int, seconds: int) -> LoadResult:
        """Send requests for so long."""
        ...


class Target(Protocol):
    """The part of `peers.peer.Running` that measuring needs."""

    port: int

    def cpu_times(self) -> dict[str, CpuTime]: ...

    @property
    def log_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """``seconds`` of each measurement, ``warm_up`` before the first of each proxy (not counted)."""

    rounds: int
    seconds: int
    warm_up: int = 2


def measure(
    targets: Mapping[str, Target],
    loads: Mapping[str, Load],
    schedule: Schedule,
    cpus: Split,
    say: Callable[[str], None],
) -> Iterator[Sample]:
    """One sample for each target, load and round; ``loads`` by their regime.

    A target of several parts has a sample for each of them as well.
    """
    warm = next(iter(loads.values()))
    for name, target in targets.items():
        say(f"warming up {name}")
        warm.run(target.port, schedule.warm_up)
    for number in range(1, schedule.rounds + 1):
        for regime, load in loads.items():
            for name, target in targets.items():
                say(f"round {number}/{schedule.rounds}, {regime}: {name}")
                yield from _measure_one(name, target, regime, load, number, schedule.seconds, cpus)


def _measure_one(
    name: str,
    target: Target,
    regime: str,
    load: Load,
    number: int,
    seconds: int,
    cpus: Split,
) -> Iterator[Sample]:
    use, logged = cpu_use(cpus.proxy), target.log_bytes
    started, before = time.perf_counter(), target.cpu_times()
    try:
        result = load.run(target.port, seconds)
    except LoadError as error:
        raise LoadError(f"{name}, round {number}: {error}") from None
    parts = {part: cpu.minus(before[part]) for part, cpu in target.cpu_times().items()}
    spent = total(parts.values())
    wall = time.perf_counter() - started
    others = disturbance(use, cpu_use(cpus.proxy), spent.total, wall, len(cpus.proxy))
    whole = Sample(name, regime, number, result, spent, target.log_bytes - logged, others)
    yield whole
    if len(parts) > 1:
        for part, cpu in parts.items():
            yield replace(whole, part=part, cpu=cpu, log_bytes=0)


def estimate(targets: int, loads: int, schedule: Schedule) -> float:
    """Seconds that `measure` takes, about."""
    one = schedule.seconds + 0.3
    return targets * (schedule.warm_up + loads * schedule.rounds * one)


def regimes(connections: int, rate: int) -> tuple[str, str]:
    """What the two loads are called, in the order they are measured."""
    return f"saturated, {connections} connections", f"steady {rate:,} requests/s"
