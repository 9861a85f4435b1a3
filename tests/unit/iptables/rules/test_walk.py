"""Insertions carried out."""

from __future__ import annotations

from iptables.rules.rule import RETURN, Chain, Rule, Table, coming_in
from iptables.rules.walk import walk


def rule(name: str, at: int | None = None) -> Rule:
    return Rule(Table.NAT, Chain.PREROUTING, (coming_in(name),), RETURN, at=at)


def order(*rules: Rule) -> str:
    chain = walk(rules)[Table.NAT][Chain.PREROUTING]
    return "".join(each.matches[0].value for each in chain)


def test_appended_in_order() -> None:
    assert order(rule("a"), rule("b")) == "ab"


def test_inserted_at_the_head() -> None:
    assert order(rule("a"), rule("b", 1), rule("c", 1), rule("d")) == "cbad"


def test_inserted_further_down() -> None:
    assert order(rule("a"), rule("b", 1), rule("c", 2), rule("d", 3)) == "bcda"


def test_a_place_past_the_end_is_the_end() -> None:
    assert order(rule("a", 1), rule("b", 5)) == "ab"
