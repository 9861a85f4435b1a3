"""Which rules hold for HTTP and which for TCP, in the order in which they are asked.

Istio's `pilot/pkg/security/authz/builder` and `…/model`. On TCP nothing is known of requests: an
ALLOW rule that asks for one of their fields is left out, so that it allows nothing, and in DENY and
AUDIT such fields fall away, so that more is refused. The same is done with what this build never
knows, the metadata of Envoy's filters: whatever they would say, nobody is let in who should not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from meshproxy.model.policy import Action, Clause, Policy, Rule, Term
from meshproxy.policy.attributes import HTTP_ONLY, Attribute, attribute_of
from meshproxy.policy.trust import with_aliases, with_all_domains


@dataclass(frozen=True, slots=True)
class Line:
    """One rule of one policy, ready to be asked. ``index`` -1: the policy can't be relied on, and
    the line holds for everything."""

    policy: Policy
    index: int
    rule: Rule

    @property
    def name(self) -> str:
        """The name that Istio gives it in Envoy, which tells it in logs."""
        rule = f"-rule[{self.index}]" if self.index >= 0 else ""
        return f"ns[{self.policy.namespace}]-policy[{self.policy.name}]{rule}"


@dataclass(frozen=True, slots=True)
class Lines:
    """``allow`` None: no policy allows anything, so that everything is allowed that isn't denied.

    The ``dry`` ones are of policies in dry run. ``allowing``: the policies behind ``allow``, also
    those without a line.
    """

    audit: tuple[Line, ...]
    deny: tuple[Line, ...]
    allow: tuple[Line, ...] | None
    dry_deny: tuple[Line, ...]
    dry_allow: tuple[Line, ...] | None
    allowing: tuple[Policy, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.audit or self.deny or self.dry_deny) or not (
            self.allow is None and self.dry_allow is None
        )


def lines_of(policies: Iterable[Policy], domains: Sequence[str], tcp: bool) -> Lines:
    """``domains``: the own trust domain and its aliases."""
    found: dict[tuple[Action, bool], list[Line]] = {}
    allowing = []
    for policy in policies:
        action = Action.DENY if policy.action is Action.CUSTOM else policy.action
        if policy.fault and (policy.dry_run or action is Action.AUDIT):
            continue  # what decides nothing and can't be read can't say anything either
        found.setdefault((action, policy.dry_run), []).extend(_lines(policy, domains, tcp))
        if action is Action.ALLOW and not policy.dry_run:
            allowing.append(policy)

    def of(action: Action, dry: bool) -> tuple[Line, ...] | None:
        lines = found.get((action, dry))
        return None if lines is None else tuple(lines)

    return Lines(
        of(Action.AUDIT, False) or (),
        of(Action.DENY, False) or (),
        of(Action.ALLOW, False),
        of(Action.DENY, True) or (),
        of(Action.ALLOW, True),
        tuple(allowing),
    )


def _lines(policy: Policy, domains: Sequence[str], tcp: bool) -> list[Line]:
    allow = policy.action is Action.ALLOW
    if policy.fault:
        return [] if allow else [Line(policy, -1, Rule())]
    lines = []
    # Envoy keeps the rules of a policy by name: the tenth comes before the second.
    for index in sorted(range(len(policy.rules)), key=lambda index: f"{index}]"):
        rule = policy.rules[index]
        if allow and any(_hidden(term, tcp) for term in _terms(rule)):
            continue
        rule = _without_hidden(rule, tcp)
        lines.append(Line(policy, index, _with_domains(rule, domains)))
    return lines


def _terms(rule: Rule) -> Iterable[Term]:
    for clause in (*rule.sources, *rule.operations):
        yield from clause
    yield from rule.conditions


def _hidden(term: Term, tcp: bool) -> bool:
    """Whether there is no telling if it holds."""
    attribute = attribute_of(term.field)
    return attribute is Attribute.METADATA or (tcp and attribute in HTTP_ONLY)


def _without_hidden(rule: Rule, tcp: bool) -> Rule:
    def kept(terms: Clause) -> Clause:
        return tuple(term for term in terms if not _hidden(term, tcp))

    return Rule(
        tuple(kept(clause) for clause in rule.sources),
        tuple(kept(clause) for clause in rule.operations),
        kept(rule.conditions),
    )


def _with_domains(rule: Rule, domains: Sequence[str]) -> Rule:
    def wider(term: Term) -> Term:
        attribute = attribute_of(term.field)
        if attribute is Attribute.PRINCIPAL:
            values = with_aliases(term.values, domains), with_aliases(term.not_values, domains)
        elif attribute is Attribute.TRUST_DOMAIN:
            values = (
                with_all_domains(term.values, domains),
                with_all_domains(term.not_values, domains),
            )
        else:
            return term
        return replace(term, values=values[0], not_values=values[1])

    return Rule(
        tuple(tuple(wider(term) for term in clause) for clause in rule.sources),
        rule.operations,
        tuple(wider(term) for term in rule.conditions),
    )
