"""What a run says: results on stdout, warnings and errors on stderr."""

from __future__ import annotations

import sys
from typing import TextIO


class Report:
    """Lines for the user."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    def text(self, text: str) -> None:
        """Text as it is, such as the rules of a dry run."""
        self._out.write(text)

    def say(self, line: str) -> None:
        """What was done."""
        print(line, file=self._out)

    def warn(self, line: str) -> None:
        """What the user should know although the run goes on."""
        print(f"warning: {line}", file=self._err)

    def fail(self, line: str) -> None:
        """Why the run ends."""
        print(f"error: {line}", file=self._err)
