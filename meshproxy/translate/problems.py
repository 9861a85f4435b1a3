"""What is wrong with a configuration, where, and how to mend it.

Nothing in this room raises at the first fault: whoever finds one adds it to a report and goes on,
so that all of them are known after one reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

Path = tuple[str | int, ...]

UNSUPPORTED = "unsupported"  # known to Istio, not done by this build
UNKNOWN_FIELD = "unknown-field"


class Severity(Enum):
    """``ERROR``: the configuration can't be used. ``NOTE``: for whoever asks for details."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. ``subject`` names the object; ``code`` its class, for programs to tell apart."""

    severity: Severity
    file: str
    line: int
    field: str
    text: str
    mend: str = ""
    subject: str = ""
    code: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        where = f"{place}: {self.severity.value}: " if place else f"{self.severity.value}: "
        field = f"{self.field}: " if self.field else ""
        mend = f" ({self.mend})" if self.mend else ""
        return f"{where}{field}{self.text}{mend}"


class Finding(NamedTuple):
    """A problem inside one object: its field as a path, which only later becomes a line."""

    severity: Severity
    path: Path
    text: str
    mend: str = ""
    code: str = ""


class Report:
    """Collects what is found while one object is read."""

    __slots__ = ("findings",)

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def error(self, path: Path, text: str, mend: str = "") -> None:
        self.findings.append(Finding(Severity.ERROR, path, text, mend))

    def warn(self, path: Path, text: str, mend: str = "", code: str = "") -> None:
        self.findings.append(Finding(Severity.WARNING, path, text, mend, code))

    @property
    def failed(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def show_path(path: Path) -> str:
    """``("spec", "http", 0, "a.b")`` → ``spec.http[0]["a.b"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("_", "").replace("-", "").isalnum():
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was most likely meant, or ""."""
    from difflib import get_close_matches  # only a mistake pays for it

    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), list(by_lower), 1, 0.6)
    return by_lower[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A mend for a misspelt word; where nothing is near, the words there are."""
    names = sorted(known)
    near = nearest(word, names)
    if near:
        return f"did you mean {near}?"
    return f"known here: {', '.join(names)}" if names else ""
