"""Who may call this workload, in the words of Istio's AuthorizationPolicy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from meshproxy.model.origin import BUILT_IN, Origin


class Action(Enum):
    """Istio's ``AuthorizationPolicy.Action``."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that is asked: one of ``values`` holds, if there are any, and none of
    ``not_values``.

    ``field`` is that of a source or an operation (``principals``, ``paths``, …), its negation
    being ``not_values`` here, or the key of a condition (``source.ip``, ``request.headers[x]``).
    """

    field: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


Clause = tuple[Term, ...]
"""All of its terms have to hold."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Holds where one of ``sources`` does, one of ``operations``, and all ``conditions``.

    No sources: everybody; no operations: everything.
    """

    sources: tuple[Clause, ...] = ()
    operations: tuple[Clause, ...] = ()
    conditions: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """One AuthorizationPolicy that reaches this workload.

    ``fault``: why it can't be relied on; then ALLOW allows nothing, and DENY and CUSTOM refuse
    everything. ``dry_run``: it is told what it would have decided, and decides nothing.
    """

    namespace: str
    name: str
    action: Action = Action.ALLOW
    rules: tuple[Rule, ...] = ()
    dry_run: bool = False
    fault: str = ""
    origin: Origin = field(default=BUILT_IN, compare=False)

    def __str__(self) -> str:
        return f"AuthorizationPolicy {self.namespace}/{self.name}"
