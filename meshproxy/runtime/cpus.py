"""How many workers: the CPU limit of the control group, rounded up."""

from __future__ import annotations

import math
from pathlib import Path

_WITHOUT_LIMIT = 2


def cpu_limit(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The limit in CPUs of the group that ``root`` shows (as a container sees it); None: no limit.

    cgroup v2 ``cpu.max`` ("quota period", or "max period"), else v1's two files.
    """
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1") or not period.isdigit():
        return None
    return int(quota) / int(period)


def worker_count(asked: int | None, root: Path = Path("/sys/fs/cgroup")) -> int:
    """``asked`` if given and not 0; else from the limit; 2 without one."""
    if asked:
        return asked
    limit = cpu_limit(root)
    return _WITHOUT_LIMIT if limit is None else max(1, math.ceil(limit))
