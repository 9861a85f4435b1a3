"""Whose a rule is: ours by name, by where it leads, or as asked for; else somebody else's."""

from __future__ import annotations

import pytest

from iptables import ours, render
from iptables.rules.rule import Family, Rule
from iptables.saved import parse
from tests.unit.iptables.build import rules
from tests.unit.iptables.tables import Tables

TPROXY = ("-b", "*", "-m", "TPROXY")


def hooks(tables: Tables, table: str, asked: tuple[Rule, ...] = ()) -> list[str]:
    """Our rules in others' chains of one table."""
    part = ours.find(parse(tables.save()), asked, Family.V4).get(table, ours.NOTHING)
    return [f"{hook.chain} {hook.place} {hook.spec}" for hook in part.hooks]


def with_ours(mine: tuple[Rule, ...], *foreign: str) -> Tables:
    tables = Tables("\n".join(["*nat", *foreign, "COMMIT", ""]))
    tables.restore(render.text(render.blocks(mine, Family.V4)))
    return tables


def test_nothing_is_ours_where_no_chain_is() -> None:
    """A table is committed whole: without our chains, a rule that looks like ours is not."""
    tables = Tables("*nat\n-A PREROUTING -i eth9 -j RETURN\nCOMMIT\n")
    assert hooks(tables, "nat", rules("-c", "eth9")) == []


def test_jumps_are_ours_wherever_they_are() -> None:
    tables = with_ours(rules(), "-N THEIRS")
    tables.restore("*nat\n-A THEIRS -p tcp -j ISTIO_OUTPUT\n-I OUTPUT 1 -j ISTIO_OUTPUT\nCOMMIT\n")
    assert hooks(tables, "nat") == [
        "OUTPUT 1 -j ISTIO_OUTPUT",
        "OUTPUT 2 -j ISTIO_OUTPUT",
        "THEIRS 1 -p tcp -j ISTIO_OUTPUT",
    ]


def test_a_comment_that_names_our_chain_is_not_a_jump() -> None:
    tables = with_ours(rules(), '-A OUTPUT -m comment --comment "no -j ISTIO_OUTPUT" -j ACCEPT')
    assert hooks(tables, "nat") == ["OUTPUT 2 -j ISTIO_OUTPUT"]


def test_chains_of_others_are_not_ours_whatever_their_name() -> None:
    tables = with_ours(rules(), "-N ISTIO_PRERT", "-A PREROUTING -j ISTIO_PRERT")
    part = ours.find(parse(tables.save()), (), Family.V4)["nat"]
    assert "ISTIO_PRERT" not in part.chains
    assert hooks(tables, "nat") == ["OUTPUT 1 -j ISTIO_OUTPUT"]


class TestInterfaces:
    def test_the_later_of_two_alike_is_ours(self) -> None:
        mine = rules("-c", "eth9")
        tables = with_ours(
            mine, "-A PREROUTING -i eth9 -j RETURN", "-A PREROUTING -p udp -j ACCEPT"
        )
        assert hooks(tables, "nat", mine)[0] == "PREROUTING 3 -i eth9 -j RETURN"

    def test_the_earlier_of_two_alike_where_ours_was_inserted(self) -> None:
        mine = rules("-k", "eth9")
        tables = with_ours(mine, "-A PREROUTING -i eth9 -j RETURN")
        assert hooks(tables, "nat", mine)[0] == "PREROUTING 1 -i eth9 -j RETURN"

    def test_without_being_asked_for_it_is_a_stranger(self) -> None:
        tables = with_ours(rules("-c", "eth9,eth8"), "-A OUTPUT -o eth7 -j RETURN")
        saved = parse(tables.save())
        asked = rules("-c", "eth8")
        parts = ours.find(saved, asked, Family.V4)
        assert hooks(tables, "nat", asked)[0] == "PREROUTING 2 -i eth8 -j RETURN"
        assert ours.strangers(saved, parts) == ("eth9",)

    def test_no_strangers_where_nothing_is_ours(self) -> None:
        saved = parse("*nat\n-A PREROUTING -i e -j RETURN\n-A OUTPUT -o e -j RETURN\nCOMMIT\n")
        assert ours.strangers(saved, ours.find(saved, (), Family.V4)) == ()


class TestMarks:
    @pytest.mark.parametrize("mark", ["1337", "0x77"])
    def test_known_without_flags(self, mark: str) -> None:
        mine = rules(*TPROXY, "-t", mark, "-u", "1,2")
        tables = with_ours(mine)
        found = hooks(tables, "mangle")
        assert len(found) == sum(
            rule.table == "mangle" and rule.chain.built_in and Family.V4 in rule.families
            for rule in mine
        )

    def test_with_nothing_captured_inbound(self) -> None:
        tables = with_ours(rules("-m", "TPROXY"))
        assert any("CONNMARK --save-mark" in hook for hook in hooks(tables, "mangle"))

    def test_other_marks_are_others(self) -> None:
        tables = with_ours(rules(*TPROXY))
        foreign = [
            "-A PREROUTING -p tcp -m mark --mark 0x7 -j CONNMARK --save-mark",
            "-A OUTPUT -o lo -m mark --mark 0x7 -j RETURN",
            "-A OUTPUT -o lo -m owner --uid-owner 5 -j MARK --set-mark 7",
            "-A OUTPUT -m mark --mark 0x539 -j ACCEPT",
            "-A OUTPUT -p tcp -m mark --mark 0x539 -j CONNMARK --save-mark",
        ]
        tables.restore("\n".join(["*mangle", *foreign, "COMMIT", ""]))
        found = " ".join(hooks(tables, "mangle"))
        assert "0x7" not in found
        assert "ACCEPT" not in found
        assert found.count("--save-mark") == 1

    def test_of_two_alike_the_later_is_ours(self) -> None:
        same = "-p tcp -m mark --mark 1337 -j CONNMARK --save-mark"
        tables = Tables(f"*mangle\n-A PREROUTING {same}\nCOMMIT\n")
        tables.restore(render.text(render.blocks(rules(*TPROXY), Family.V4)))
        assert hooks(tables, "mangle")[:2] == [
            "PREROUTING 2 -p tcp -j ISTIO_INBOUND",
            f"PREROUTING 3 {same}",
        ]
