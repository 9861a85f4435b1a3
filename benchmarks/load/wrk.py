"""Saturation: wrk sends the next request of a connection when its last one is answered."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from benchmarks.load.request import wrk_script
from benchmarks.load.result import LoadError, LoadResult
from benchmarks.machine.cpus import pinned

_ERRORS = ("connect", "read", "write", "timeout", "status")


class Wrk:
    """``seconds`` must be whole."""

    def __init__(self, path: str, folder: Path, cpus: tuple[int, ...], connections: int) -> None:
        self._path = path
        self._cpus = cpus
        self._connections = connections
        self._script = folder / "request.lua"
        self._script.write_text(wrk_script())

    def run(self, port: int, seconds: int) -> LoadResult:
        command = [
            *(self._path, "--threads", "1", "--connections", str(self._connections)),
            *("--duration", f"{seconds}s", "--timeout", "5s", "--script", str(self._script)),
            f"http://127.0.0.1:{port}/",
        ]
        done = subprocess.run(
            pinned(command, self._cpus),
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
        )
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise LoadError(f"wrk ended with {done.returncode}: {lines[-1]}")
        return parse_wrk(done.stdout)


def parse_wrk(text: str) -> LoadResult:
    """Reads the line that the script writes at the end (`request.wrk_script`)."""
    match = re.search(r"^RESULT (.*)$", text, re.MULTILINE)
    if match is None:
        raise LoadError("wrk printed no result")
    values = {name: int(value) for name, _, value in (p.partition("=") for p in match[1].split())}
    return LoadResult(
        values["requests"],
        values["duration_us"] / 1e6,
        values["p50_us"],
        values["p99_us"],
        {name: values[name] for name in _ERRORS if values[name]},
    )
