"""What every way of programming rules has in common: look, put, take back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from iptables.rules.rule import Rule

# Puts back what was there when it was made.
Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules to set, and those to know our own rules by (where nothing is to be set)."""

    wanted: tuple[Rule, ...]
    asked: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """One reading of a ruleset."""

    differences: tuple[str, ...]  # from the wanted rules, a phrase each
    incomplete: bool  # whether some of the wanted is not there at all
    ours: bool  # whether anything of ours is there
    used: bool  # whether anybody has rules there
    strangers: tuple[str, ...] = ()  # interfaces exempt though nothing asks for it


class Ruleset(Protocol):
    """One set of tables in the kernel, as one program sees it."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def optional(self) -> bool:
        """Whether a run may go on where this host turns out not to have it."""
        ...

    def look(self) -> Look:
        """Read it afresh. Raises `Unsupported` where this host has no such ruleset."""
        ...

    def put(self) -> None:
        """Make it what is wanted, given the last look. Raises `Failed`."""
        ...

    def remember(self) -> Undo:
        """What would put our part back as it was at the last look."""
        ...
