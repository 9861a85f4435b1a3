"""One run: what it may use, what it has found out, and what would take back what it has done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from iptables.errors import Failed
from iptables.execute import Runner
from iptables.options import Facts, Options
from iptables.report import Report


@dataclass(slots=True)
class Run:
    """Carried through all steps of a run."""

    options: Options
    facts: Facts
    runner: Runner
    report: Report
    changed: bool = False
    replaced: bool = False  # whether rules of an earlier run were there
    _undo: list[tuple[str, Callable[[], object]]] = field(default_factory=list)

    def before(self, name: str, undo: Callable[[], object]) -> None:
        """Note how to take back what is about to be done."""
        self._undo.append((name, undo))

    def done(self, line: str) -> None:
        """Note and say that something was changed."""
        self.changed = True
        self.report.say(line)

    def without_ipv6(self, reason: str) -> None:
        """Go on with IPv4 alone, and say why."""
        self.facts = replace(self.facts, ipv6=False)
        self.report.warn(f"{reason.rstrip('.')}; only IPv4 is captured.")

    def undo(self, steps: int | None = None) -> bool:
        """Take back the last steps, or all; whether there were any.

        What can't be taken back is named, and the rest goes on.
        """
        count = len(self._undo) if steps is None else steps
        for _ in range(count):
            name, undo = self._undo.pop()
            try:
                undo()
            except Failed as failed:
                self.report.fail(f"{name} could not be put back: {failed}")
        return count > 0
