"""The micro benchmarks of two source trees, in turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from types import TracebackType

from benchmarks.machine.processes import StartError
from benchmarks.micro.timing import by_case
from benchmarks.report.stats import ratios, spread
from benchmarks.report.table import table

_ROOT = Path(__file__).parents[2]
_ROUNDS = 8  # of a pair of processes

Source = tuple[str, Path]
Times = Mapping[str, Sequence[float]]  # nanoseconds by case, one for each round


def compare_micro(old: Source, new: Source, folder: Path, starts: int) -> str:
    """A table of all cases that both have; sources are a name and a root folder.

    Both processes are started anew so many times: how one's memory happens to be laid out makes a
    short function up to a tenth slower or faster for as long as the process lives.
    """
    pairs = []
    for number in range(starts):
        with (
            _Micro(old[1], folder / f"micro-old-{number}") as before,
            _Micro(new[1], folder / f"micro-new-{number}") as after,
        ):
            pairs += [(before.round(), after.round()) for _ in range(_ROUNDS)]
    return render(
        (old[0], by_case(pair[0] for pair in pairs)), (new[0], by_case(pair[1] for pair in pairs))
    )


class _Micro:
    """A process with the cases ready, that does a round when told to.

    Its ``meshproxy`` is that of ``root``, its benchmarks are ours.
    """

    def __init__(self, root: Path, mixed: Path) -> None:
        self._root = root
        self._errors = mixed / "stderr"
        mixed.mkdir()
        for name, origin in {"benchmarks": _ROOT, "tests": _ROOT, "meshproxy": root}.items():
            (mixed / name).symlink_to((origin / name).resolve())
        with self._errors.open("w") as errors:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.micro", "--on-demand"],
                cwd=mixed,
                # Both get the same luck with how their dictionaries are laid out.
                env={**os.environ, "PYTHONHASHSEED": "0"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def round(self) -> dict[str, float]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write("\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # why stands in what it said
        line = self._child.stdout.readline()
        if not line:
            said = self._errors.read_text().strip().splitlines() or ["it said nothing"]
            raise StartError(f"the micro benchmarks fail with {self._root}: {said[-1]}")
        found: dict[str, float] = json.loads(line)
        return found

    def __enter__(self) -> _Micro:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.kill()
        self._child.wait()


def render(old: tuple[str, Times], new: tuple[str, Times]) -> str:
    """Ratios are taken round by round: the two rounds of a pair follow each other at once."""
    (old_name, before), (new_name, after) = old, new
    rows = []
    for case, times in after.items():
        if case not in before:
            continue
        found = spread(ratios(times, before[case]))
        rows.append(
            (
                case,
                f"{median(before[case]):,.0f}",
                f"{median(times):,.0f}",
                f"{found.median:.2f}",
                f"({found.least:.2f}-{found.greatest:.2f})",
            )
        )
    head = ("nanoseconds of processor time", old_name, new_name, "ratio", "(least-most)")
    return table(head, rows)
