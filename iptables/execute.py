"""The one place that starts programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from iptables.errors import Failed

# Where these programs live; PATH of a minimal container or of a plain user often leaves it out.
SYSTEM_PATH: Final = ("/usr/sbin", "/sbin", "/usr/local/sbin")
# Longer than any lock is held; a hung program must not hang the pod for ever.
LONGEST: Final = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a program ended and what it wrote."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Runner:
    """Starts programs, with a few variables added to the environment."""

    environ: Mapping[str, str] = field(default_factory=dict)

    def find(self, program: str) -> str | None:
        """The program's path, or `None` where it is not installed."""
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_PATH])
        return shutil.which(program, path=path)

    def run(self, argv: Sequence[str], text: str = "") -> Result:
        """Run to the end with `text` as input. Raises `Failed` if it can't be run or hangs."""
        try:
            done = subprocess.run(
                argv,
                input=text,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                # Messages are read (see `explain`), so they must come in the language known.
                env={**os.environ, "LC_ALL": "C", **self.environ},
                check=False,
            )
        except OSError as err:
            raise Failed(f"{argv[0]} can't be run: {err.strerror}.") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"{argv[0]} did not end within {LONGEST:.0f} s.") from None
        return Result(done.returncode, done.stdout, done.stderr)
