"""What others had of the processors a proxy was measured on."""

from __future__ import annotations

import pytest

from benchmarks.machine.disturbance import CpuUse, disturbance, parse_cpu_use
from benchmarks.machine.procfs import TICKS

_STAT = """\
cpu  900 0 900 900 0 0 0 9 0 0
cpu0 100 20 30 4000 500 6 7 8 0 0
cpu1 200 0 0 4000 0 0 0 1 0 0
cpu10 9999 0 0 0 0 0 0 0 0 0
intr 1 2 3
"""


def test_only_the_processors_asked_for() -> None:
    busy = (100 + 20 + 30 + 6 + 7) / TICKS
    assert parse_cpu_use(_STAT, [0]) == CpuUse(busy, 8 / TICKS)
    assert parse_cpu_use(_STAT, [0, 1]) == CpuUse(busy + 200 / TICKS, 9 / TICKS)
    assert parse_cpu_use(_STAT, []) == CpuUse(0, 0)


def test_others_are_what_is_not_ours() -> None:
    found = disturbance(CpuUse(10, 1), CpuUse(14, 1.5), own=3.0, wall=5.0, cpus=1)
    assert found.others == pytest.approx(0.2)
    assert found.steal == pytest.approx(0.1)


def test_two_clocks_that_disagree_a_little_are_no_disturbance() -> None:
    assert disturbance(CpuUse(0, 0), CpuUse(2.99, 0), own=3.0, wall=5.0, cpus=2).others == 0


def test_nothing_pinned_is_nothing_known() -> None:
    assert disturbance(CpuUse(0, 0), CpuUse(0, 0), own=3.0, wall=5.0, cpus=0) == (0.0, 0.0)
