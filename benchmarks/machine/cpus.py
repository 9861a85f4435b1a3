"""Which processors the proxy runs on, and which the load.

A proxy that shares its processor with the load is measured together with the scheduler's mood. So
it gets processors of its own, and everything else (load, upstream, the reader of its log) the rest.
"""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple


class Split(NamedTuple):
    """Processors by number; both empty: nothing is pinned."""

    proxy: tuple[int, ...] = ()
    load: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.proxy:
            return "nothing pinned"
        return f"proxy on cpu {_list(self.proxy)}, load and upstream on cpu {_list(self.load)}"


def split(available: tuple[int, ...], workers: int) -> Split:
    """As many for the proxy as it has workers, but at least one for the load."""
    if len(available) < 2:
        return Split()
    own = min(workers, len(available) - 1)
    return Split(available[:own], available[own:])


def available() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0)))


def pinned(command: list[str], cpus: tuple[int, ...]) -> list[str]:
    """The command, started on those processors."""
    return ["taskset", "-c", _list(cpus), *command] if cpus else command


def keep_to(cpus: tuple[int, ...]) -> None:
    """Keep this process, and what it starts without saying otherwise, to those processors."""
    if cpus:
        os.sched_setaffinity(0, cpus)


def can_pin() -> bool:
    return shutil.which("taskset") is not None


def _list(cpus: tuple[int, ...]) -> str:
    return ",".join(map(str, cpus))
