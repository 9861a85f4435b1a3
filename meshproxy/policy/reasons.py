"""Why somebody was refused, for people who read logs. Callers are never told.

It is found out once more by the reference, since nobody asks for the many who may pass. What a
caller has a hand in is quoted and cut; values of headers are left out, as they hold secrets.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshproxy.model.policy import Policy, Term
from meshproxy.policy.attributes import BY_IDENTITY, Attribute, attribute_of
from meshproxy.policy.reference import failing, values_of
from meshproxy.policy.rules import Line, Lines
from meshproxy.record import Record
from meshproxy.wire.heads import RequestHead

MOST = 400  # characters of a reason
_MOST_OF_A_VALUE = 100
_MOST_VALUES = 3


def why_denied(line: Line) -> str:
    """A DENY rule holds: which, and what it asks for."""
    policy = line.policy
    if policy.fault:
        return cut(f"{policy} can't be relied on and denies all: {policy.fault}")
    rule = line.rule
    fields = [
        term.field for terms in (*rule.sources, *rule.operations, rule.conditions) for term in terms
    ]
    asked = ", ".join(dict.fromkeys(fields)) or "everything"
    return cut(f"{policy} rule {line.index} denies by {asked}")


def why_not_allowed(lines: Lines, record: Record, head: RequestHead | None) -> str:
    """No ALLOW rule holds: which was the nearest, and what keeps it from holding."""
    nearest: tuple[Line, list[Term]] | None = None
    for line in lines.allow or ():
        missed = list(failing(line, record, head))
        if nearest is None or len(missed) < len(nearest[1]):
            nearest = line, missed
    if nearest is None:
        return cut("; ".join(_says_nothing(policy, head) for policy in lines.allowing))
    line, missed = nearest
    what = "; ".join(_say(term, record, head) for term in missed)
    return cut(f"no ALLOW policy allows it; nearest is {line.policy} rule {line.index}: {what}")


def _says_nothing(policy: Policy, head: RequestHead | None) -> str:
    if policy.fault:
        return f"{policy} can't be relied on and allows nothing: {policy.fault}"
    if policy.rules:
        where = " on TCP" if head is None else ""
        return f"{policy} allows nothing{where}, as its rules ask for what is not known here"
    return f"{policy} allows nothing"


def _say(term: Term, record: Record, head: RequestHead | None) -> str:
    attribute = attribute_of(term.field)
    if attribute is Attribute.TOKEN:
        return f"{term.field}: there is no verified token"
    found = values_of(term.field, record, head)
    if not found:
        nobody = attribute in BY_IDENTITY
        return f"{term.field}: " + ("no certificate was shown" if nobody else "there is none")
    if attribute is Attribute.HEADER:
        shown = "the header's value"
    else:
        shown = ascii(found[0][:_MOST_OF_A_VALUE])
    if term.values and not term.not_values and attribute is not Attribute.HEADER:
        return f"{term.field}: {shown} is not one of {_listed(term.values)}"
    return f"{term.field}: {shown} does not hold"


def _listed(values: Sequence[str]) -> str:
    more = f" and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
    return ", ".join(values[:_MOST_VALUES]) + more


def cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"
