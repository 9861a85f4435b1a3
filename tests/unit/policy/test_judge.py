"""Several policies together: which decides, and what is told of it."""

from __future__ import annotations

import pytest

from meshproxy.model.policy import Action, Policy, Rule, Term
from meshproxy.policy.judge import Denial, judge_of_connections, judge_of_requests
from meshproxy.policy.reasons import MOST
from meshproxy.policy.trust import with_aliases, with_all_domains
from meshproxy.record import Shadow
from tests.unit.policy.build import (
    ME,
    a_head,
    a_record,
    ask,
    ask_tcp,
    operation,
    policy,
    source,
    terms,
    when,
)

DENY, AUDIT, CUSTOM = Action.DENY, Action.AUDIT, Action.CUSTOM
ALL = Rule()
NONE = "rbac_access_denied_matched_policy[none]"
FIRST = "rbac_access_denied_matched_policy[ns[shop]-policy[p]-rule[0]]"
WHOLE = "rbac_access_denied_matched_policy[ns[shop]-policy[p]]"


def details(denial: Denial | None) -> str:
    return "" if denial is None else denial.details


def test_nothing_is_asked_where_no_policy_is() -> None:
    assert judge_of_requests((), ()) is None
    assert judge_of_connections((), ()) is None
    assert judge_of_requests((policy(action=AUDIT, fault="x"),), ()) is None


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([policy()], NONE),
        ([policy(ALL)], ""),
        ([policy(), policy(ALL)], ""),
        ([policy(operation(paths="/b")), policy(operation(paths="/a"))], ""),
        (
            [policy(ALL, action=DENY)],
            "rbac_access_denied_matched_policy[ns[shop]-policy[p]-rule[0]]",
        ),
        (
            [policy(ALL), policy(operation(paths="/b"), operation(paths="/a"), action=DENY)],
            "rbac_access_denied_matched_policy[ns[shop]-policy[p]-rule[1]]",
        ),
        ([policy(operation(paths="/b"), action=DENY)], ""),
        ([policy(ALL, action=AUDIT)], ""),
        ([policy(ALL, action=DENY, dry_run=True)], ""),
        ([policy(dry_run=True)], ""),
        ([policy(ALL, fault="x")], NONE),
        ([policy(ALL, fault="x"), policy(ALL)], ""),
        ([policy(fault="x", action=DENY)], WHOLE),
        ([policy(fault="x", action=CUSTOM)], WHOLE),
        ([policy(fault="x", action=DENY, dry_run=True), policy(ALL)], ""),
    ],
)
def test_who_decides(policies: list[Policy], expected: str) -> None:
    assert details(ask(*policies, path="/a")) == expected


def test_the_tenth_rule_is_asked_before_the_second_as_in_envoy() -> None:
    rules = [operation(paths="/x")] * 2 + [ALL] + [operation(paths="/x")] * 7 + [ALL]
    assert "rule[10]" in details(ask(policy(*rules, action=DENY)))


def test_alternatives_and_parts_of_a_rule() -> None:
    rule = Rule(
        (terms(namespaces="a"), terms(namespaces="shop", ipBlocks="10.0.0.9")),
        (terms(paths="/a", methods="PUT"), terms(ports="80")),
        (Term("request.headers[x-a]", ("1",)), Term("destination.port", ("80",))),
    )
    assert ask(policy(rule), record=a_record(ME), x_a="1") is None
    assert ask(policy(rule), record=a_record(ME), x_a="2")
    assert ask(policy(rule), record=a_record(ME, client="10.0.0.8"), x_a="1")
    assert ask(
        policy(rule), record=a_record(ME, to="10.0.0.1:81"), x_a="1", path="/a", method="PUT"
    )
    assert ask(policy(rule), record=a_record(), x_a="1")


# TCP.


@pytest.mark.parametrize(
    ("rule", "allowed", "denied"),
    [
        (ALL, True, True),
        (operation(ports="80"), True, True),
        (operation(ports="81"), False, False),
        (operation(methods="GET"), False, True),
        (operation(methods="GET", ports="81"), False, False),
        (operation(hosts="x", ports="80"), False, True),
        (source(requestPrincipals="x"), False, True),
        (source(not_requestPrincipals="x"), False, True),
        (source(namespaces="shop"), True, True),
        (source(namespaces="else", requestPrincipals="x"), False, False),
        (when("request.headers[x]", "y"), False, True),
        (when("request.auth.claims[x]", "y"), False, True),
        (when("experimental.envoy.filters.a[b]", "c"), False, True),
        (source(remoteIpBlocks="10.0.0.9"), True, True),
        (Rule(operations=(terms(methods="GET"), terms(ports="80"))), False, True),
    ],
)
def test_tcp(rule: Rule, allowed: bool, denied: bool) -> None:
    """ALLOW leaves a rule out that asks for more than TCP has; in DENY the field falls away."""
    record = a_record(ME)
    assert (ask_tcp(policy(rule), record=record) is None) is allowed
    assert (ask_tcp(policy(rule, action=DENY), record=record) is not None) is denied


# Dry run and audit.


def shadows(*policies: Policy, path: str = "/a") -> list[Shadow]:
    record = a_record()
    ask(*policies, record=record, path=path)
    return list(record.shadows)


def test_what_is_noted() -> None:
    on_a = operation(paths="/a")
    name = "ns[shop]-policy[p]-rule[0]"
    dry = {"dry_run": True}
    assert shadows(policy(on_a, **dry)) == [Shadow("allow", "allowed", "shop/p", "0", name)]
    assert shadows(policy(on_a, **dry), path="/b") == [Shadow("allow", "denied", "", "none", "")]
    denied = [Shadow("deny", "denied", "shop/p", "0", name)]
    assert shadows(policy(on_a, action=DENY, **dry)) == denied
    allowed = [Shadow("deny", "allowed", "", "none", "")]
    assert shadows(policy(on_a, action=DENY, **dry), path="/b") == allowed
    assert shadows(policy(on_a, action=AUDIT)) == [Shadow("audit", "logged", "shop/p", "0", name)]
    assert shadows(policy(on_a, action=AUDIT), path="/b") == []


def test_what_is_denied_is_not_shown_to_allow() -> None:
    dry = policy(ALL, dry_run=True)
    assert shadows(dry, policy(ALL, action=DENY)) == []
    assert len(shadows(dry, policy(action=DENY))) == 1


# What is told.


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            ask(policy(source(namespaces="shop"), action=DENY), record=a_record(ME)),
            ["AuthorizationPolicy shop/p rule 0 denies by namespaces"],
        ),
        (ask(policy(ALL, action=DENY)), ["rule 0 denies by everything"]),
        (ask(policy(action=DENY, fault="spec.x is odd")), ["shop/p", "spec.x is odd"]),
        (ask(policy()), ["AuthorizationPolicy shop/p allows nothing"]),
        (ask(policy(ALL, fault="spec.x is odd")), ["shop/p can't be relied on", "spec.x is odd"]),
        (ask_tcp(policy(operation(methods="GET"))), ["shop/p allows nothing on TCP"]),
        (ask(policy(when("experimental.envoy.filters.a[b]", "", "c"))), ["shop/p allows nothing"]),
        (
            ask(policy(operation(paths="/b", methods="PUT"), operation(paths="/c /d /e /f"))),
            ["shop/p rule 1", "paths: '/' is not one of /c, /d, /e and 1 more"],
        ),
        (ask(policy(source(principals="*"))), ["principals: no certificate was shown"]),
        (ask(policy(source(not_ipBlocks="10.0.0.9"))), ["ipBlocks: '10.0.0.9' does not hold"]),
        (ask(policy(when("connection.sni", "a"))), ["connection.sni: there is none"]),
        (ask(policy(source(requestPrincipals="a"))), ["there is no verified token"]),
    ],
)
def test_reasons(found: Denial | None, words: list[str]) -> None:
    assert found is not None
    for word in words:
        assert word in found.reason


def test_reasons_hold_no_secrets_and_no_more_than_so_much() -> None:
    rule = when("request.headers[authorization]", "hunter2")
    found = ask(policy(rule), authorization="sesame")
    assert found is not None
    assert "authorization" in found.reason
    assert "sesame" not in found.reason
    assert "hunter2" not in found.reason
    long = ask(policy(operation(paths="/x" * 1000)), path="/y\n" * 1000)
    assert long is not None
    assert len(long.reason) <= MOST
    assert "\n" not in long.reason


def test_policy_and_rule_are_told_apart() -> None:
    found = ask(policy(ALL, action=DENY))
    assert found is not None
    assert (found.policy, found.rule) == ("shop/p", "0")
    found = ask(policy())
    assert found is not None
    assert (found.policy, found.rule) == ("", "none")


# Trust domains.

OURS = ("new-td", "old-td", "some")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("old-td/ns/a/sa/b", ["new-td/ns/a/sa/b", "old-td/ns/a/sa/b", "some/ns/a/sa/b"]),
        ("cluster.local/ns/a/sa/b", ["new-td/ns/a/sa/b", "old-td/ns/a/sa/b", "some/ns/a/sa/b"]),
        ("*-td/ns/a/sa/b", ["*-td/ns/a/sa/b", "some/ns/a/sa/b"]),
        ("*/ns/a/sa/b", ["*/ns/a/sa/b"]),
        ("other/ns/a/sa/b", ["other/ns/a/sa/b"]),
        ("*", ["*"]),
        ("old-td/ns/a", ["old-td/ns/a"]),
    ],
)
def test_principals_of_all_our_domains(given: str, expected: list[str]) -> None:
    assert list(with_aliases([given], OURS)) == expected


def test_domains() -> None:
    assert with_all_domains(["old-td", "x"], OURS) == (*OURS, "x")


def test_aliases_are_taken_for_the_own_domain() -> None:
    rule = policy(source(principals="cluster.local/ns/shop/sa/web"))
    caller = a_record("spiffe://old/ns/shop/sa/web")
    assert ask(rule, record=caller, domains=("new", "old")) is None
    assert ask(rule, record=caller, domains=("new",)) is not None
    assert ask(rule, record=a_record(ME), domains=("new",)) is not None
    assert ask(policy(source(trustDomains="new")), record=caller, domains=("new", "old")) is None


def test_head_of_no_request_is_not_touched() -> None:
    head = a_head("/a")
    before = (head.path, list(head.headers))
    ask(policy(operation(paths="/a")), head=head)
    assert (head.path, head.headers) == before
