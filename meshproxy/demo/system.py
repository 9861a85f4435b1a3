"""System programs: where they are, and running one to its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

_ADMINISTRATOR = "/usr/sbin:/sbin"  # not in everyone's PATH
_PATIENCE = 30.0
# What programs get to see: settings of the user's own proxies are not for the demo's.
_KEPT = ("LANG", "LC_ALL", "PYTHONPATH", "TMPDIR", "PYTHONDONTWRITEBYTECODE")


def environment() -> dict[str, str]:
    """A plain environment with the administrator's programs in PATH."""
    found = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**found, "PATH": f"{os.environ.get('PATH', os.defpath)}:{_ADMINISTRATOR}"}


def has(program: str) -> bool:
    return shutil.which(program, path=environment()["PATH"]) is not None


def run(argv: Sequence[str], text: str = "", cwd: str = "/") -> subprocess.CompletedProcess[str]:
    """Run a program to its end. It has a session of its own, so that Ctrl-C is for us alone."""
    return subprocess.run(
        argv,
        input=text,
        capture_output=True,
        text=True,
        env=environment(),
        cwd=cwd,
        start_new_session=True,
        timeout=_PATIENCE,
        check=False,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed program said at last, or how it ended."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1].strip().rstrip(".") if lines else f"status {done.returncode}"


def program(*arguments: str) -> list[str]:
    """The command line of this very program."""
    return [sys.executable, "-m", "meshproxy", *arguments]
