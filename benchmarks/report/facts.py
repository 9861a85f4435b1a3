"""What was measured, on what: figures without it can't be compared with any others."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine.cpus import Split
from benchmarks.options import Options
from benchmarks.peers.peer import Peer


def facts(options: Options, cpus: Split, peers: Sequence[Peer]) -> dict[str, str]:
    """In the order to print them."""
    schedule = options.schedule
    known = {
        "machine": f"{os.cpu_count()} x {_processor()}, Linux {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "processors": str(cpus),
        "each proxy": f"{options.concurrency} worker(s), {options.speaks}, 12 request headers,"
        " 1 KiB answers",
        "schedule": f"{schedule.rounds} interleaved rounds of {schedule.seconds} s, medians",
    }
    for peer in peers:
        version = peer.version()
        known[peer.name] = f"{version}: {peer.does}" if version else peer.does
    return known


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()
