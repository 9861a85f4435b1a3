"""All policies of a workload as one question: may this request or connection go on?

Envoy's order as Istio sets it up: AUDIT only notes, DENY comes before ALLOW, and where there is an
ALLOW policy, what none of them names is refused. What stops at DENY is not shown to ALLOW, in dry
run neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from meshproxy.model.policy import Policy
from meshproxy.policy.attributes import identity_of
from meshproxy.policy.checks import Check, compile_line
from meshproxy.policy.reasons import why_denied, why_not_allowed
from meshproxy.policy.rules import Line, Lines, lines_of
from meshproxy.record import Record, Shadow
from meshproxy.wire.heads import HTTP11, RequestHead


class Denial(NamedTuple):
    """``policy`` is NAMESPACE/NAME, "" where no policy allows; ``rule`` its number as text.

    ``details`` is Envoy's %RESPONSE_CODE_DETAILS%. ``reason`` is for log and metric alone.
    """

    policy: str
    rule: str
    details: str
    reason: str


Judge = Callable[[Record, RequestHead], Denial | None]
JudgeTcp = Callable[[Record], Denial | None]
Compiled = tuple[tuple[Line, Check], ...]

# No check of a TCP rule looks at it.
_NO_HEAD = RequestHead(b"", b"", b"", HTTP11, [], {})


def judge_of_requests(policies: Sequence[Policy], domains: Sequence[str]) -> Judge | None:
    """None where no policy has a say."""
    lines = lines_of(policies, domains, tcp=False)
    return _compile(lines, False) if lines else None


def judge_of_connections(policies: Sequence[Policy], domains: Sequence[str]) -> JudgeTcp | None:
    lines = lines_of(policies, domains, tcp=True)
    if not lines:
        return None
    judge = _compile(lines, True)
    return lambda record: judge(record, _NO_HEAD)


def _compile(lines: Lines, tcp: bool) -> Judge:
    deny = _lines(lines.deny)
    allow = None if lines.allow is None else _lines(lines.allow)
    watch = _watch(lines)

    def judge(record: Record, head: RequestHead) -> Denial | None:
        identity = identity_of(record)
        if watch is not None:
            watch(identity, record, head)
        for line, check in deny:
            if check(identity, record, head):
                return _denied(line)
        if allow is None:
            return None
        for _, check in allow:
            if check(identity, record, head):
                return None
        return _not_allowed(lines, record, None if tcp else head)

    return judge


def _lines(lines: Sequence[Line]) -> Compiled:
    return tuple((line, compile_line(line)) for line in lines)


def _watch(lines: Lines) -> Callable[[str, Record, RequestHead], None] | None:
    """Note what policies that decide nothing would have said."""
    audit, deny = _lines(lines.audit), _lines(lines.dry_deny)
    allow = None if lines.dry_allow is None else _lines(lines.dry_allow)
    stops = _lines(lines.deny)
    if not audit and not deny and allow is None:
        return None

    def first(lines: Compiled, identity: str, record: Record, head: RequestHead) -> Line | None:
        for line, check in lines:
            if check(identity, record, head):
                return line
        return None

    def watch(identity: str, record: Record, head: RequestHead) -> None:
        found = []
        line = first(audit, identity, record, head)
        if line is not None:
            found.append(_shadow("audit", "logged", line))
        if deny:
            line = first(deny, identity, record, head)
            found.append(_shadow("deny", "allowed" if line is None else "denied", line))
        if allow is not None and first(stops, identity, record, head) is None:
            line = first(allow, identity, record, head)
            found.append(_shadow("allow", "denied" if line is None else "allowed", line))
        record.shadows = tuple(found)

    return watch


def _shadow(action: str, result: str, line: Line | None) -> Shadow:
    if line is None:
        return Shadow(action, result, "", "none", "")
    policy = f"{line.policy.namespace}/{line.policy.name}"
    return Shadow(action, result, policy, str(line.index), line.name)


def _denied(line: Line) -> Denial:
    policy = f"{line.policy.namespace}/{line.policy.name}"
    rule = str(line.index) if line.index >= 0 else "none"
    return Denial(policy, rule, _details(line.name), why_denied(line))


def _not_allowed(lines: Lines, record: Record, head: RequestHead | None) -> Denial:
    return Denial("", "none", _details("none"), why_not_allowed(lines, record, head))


def _details(name: str) -> str:
    return f"rbac_access_denied_matched_policy[{name}]"
