from __future__ import annotations

from pathlib import Path

import pytest

from meshproxy.runtime.cpus import worker_count


@pytest.mark.parametrize(
    ("limit", "workers"),
    [("max 100000", 2), ("100000 100000", 1), ("150000 100000", 2), ("10000 100000", 1)],
)
def test_cgroup_v2(tmp_path: Path, limit: str, workers: int) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert worker_count(None, tmp_path) == workers


@pytest.mark.parametrize(("quota", "workers"), [("-1", 2), ("250000", 3)])
def test_cgroup_v1(tmp_path: Path, quota: str, workers: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert worker_count(None, tmp_path) == workers


def test_asked_and_unknown(tmp_path: Path) -> None:
    assert worker_count(5, tmp_path) == 5
    assert worker_count(0, tmp_path) == 2
