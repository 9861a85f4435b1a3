"""The programs that the demo starts, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from meshproxy.demo.run import Run
from meshproxy.demo.system import environment

_GRACE = 5.0
_SHOWN = 15


class Process:
    """A running program. Its standard output goes to ``NAME.out``, what it logs to ``NAME.log``."""

    def __init__(self, name: str, argv: Sequence[str], extra: Mapping[str, str], run: Run) -> None:
        self.name = name
        self._log = run.folder / f"{name}.log"
        with self._log.open("wb") as log, self._log.with_suffix(".out").open("wb") as out:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={**environment(), **extra},
                cwd=run.folder,
                start_new_session=True,
            )
        run.note(self._popen.pid)

    @property
    def ended(self) -> bool:
        return self._popen.poll() is not None

    def explanation(self) -> str:
        """How it ended, and what it said at last."""
        said = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN:]
        return "\n    ".join([f"{self.name} ended with status {self._popen.poll()}.", *said])

    def ask_to_end(self) -> None:
        if not self.ended:  # afterwards its id may belong to somebody else
            self._popen.terminate()

    def end(self) -> None:
        """Wait for it, and insist after a while. Its children end with it in any case."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(_GRACE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


class Crew:
    """All programs of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._processes: list[Process] = []

    def start(self, name: str, argv: Sequence[str], extra: Mapping[str, str]) -> None:
        self._processes.append(Process(name, argv, extra, self._run))

    def fallen(self) -> str:
        """Which program has ended before its time, and why; "" while all run."""
        return next((each.explanation() for each in self._processes if each.ended), "")

    def output(self, name: str) -> Path:
        return self._run.folder / f"{name}.out"

    def stop(self) -> None:
        for process in self._processes:
            process.ask_to_end()
        for process in self._processes:
            process.end()
        self._processes.clear()
