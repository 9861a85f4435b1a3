"""From any state to any other: others' rules stay, in their order, and nothing of ours is left."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iptables import change, ours, render
from iptables.rules.compose import recognisable
from iptables.rules.rule import OUR_CHAINS, Family, Rule
from iptables.saved import parse
from tests.unit.iptables.build import BOTH_FAMILIES, options, rules
from tests.unit.iptables.tables import Tables

COMMAND_LINES: list[tuple[str, ...]] = [
    (),
    ("-b", "*", "-d", "15020", "-i", "*"),
    ("-b", "80", "-i", "10.0.0.0/8,fd00::/8", "-k", "eth7", "-c", "eth9", "-u", "1,2"),
    ("-b", "*", "-m", "TPROXY", "-c", "eth8,eth9", "--redirect-dns", "--capture-all-dns"),
    ("--drop-invalid", "-i", "*", "-k", "eth6,eth7", "-q", "5", "-o", "6"),
]

# Rules of others; the first ones look like rules that we set.
FOREIGN_RULES = [
    "-i eth9 -j RETURN",
    "-i eth7 -j RETURN",
    "-o eth9 -j RETURN",
    "-p tcp -m mark --mark 0x539 -j CONNMARK --save-mark",
    "-p tcp -j THEIRS",
    '-m comment --comment "not -j ISTIO_OUTPUT" -j ACCEPT',
    "-d 10.0.0.0/8 -j ACCEPT",
]
foreign_rules = st.lists(st.sampled_from(FOREIGN_RULES), max_size=4)


@st.composite
def foreign_tables(draw: st.DrawFn) -> str:
    """Tables that others have filled."""
    lines: list[str] = []
    for table in ("mangle", "nat", "raw"):
        lines += [f"*{table}", "-N THEIRS", "-A THEIRS -j ACCEPT"]
        for chain in ("PREROUTING", "OUTPUT"):
            lines += [f"-A {chain} {rule}" for rule in draw(foreign_rules)]
        lines.append("COMMIT")
    return "\n".join([*lines, ""])


def parts_of(tables: Tables, argv: Sequence[str], family: Family) -> change.Parts:
    asked = recognisable(options(*argv), BOTH_FAMILIES)
    return ours.find(parse(tables.save()), asked, family)


def put(tables: Tables, argv: Sequence[str], wanted: tuple[Rule, ...], family: Family) -> None:
    """What a run does to one family's tables."""
    blocks = change.replacement(parts_of(tables, argv, family), render.blocks(wanted, family))
    tables.restore(render.text(blocks))


def foreign_part(tables: Tables) -> dict[str, dict[str, list[str]]]:
    """Everything that does not lead to us, for looking whether it is still there."""
    return {
        table: {name: rules for name, rules in chains.items() if name not in OUR_CHAINS}
        for table, chains in tables.used().items()
    }


command_lines = st.sampled_from(COMMAND_LINES)
families = st.sampled_from(list(Family))


@given(foreign=foreign_tables(), argv=command_lines, family=families)
@settings(max_examples=150, deadline=None)
def test_set_and_removed_leaves_what_was(
    foreign: str, argv: tuple[str, ...], family: Family
) -> None:
    tables = Tables(foreign)
    before = tables.used()
    wanted = rules(*argv, facts=BOTH_FAMILIES)
    put(tables, argv, wanted, family)
    assert change.differences(parts_of(tables, argv, family), wanted, family) == []
    put(tables, argv, (), family)
    assert tables.used() == before


@given(foreign=foreign_tables(), argv=command_lines, family=families)
@settings(max_examples=100, deadline=None)
def test_set_twice_is_set_once(foreign: str, argv: tuple[str, ...], family: Family) -> None:
    tables = Tables(foreign)
    wanted = rules(*argv, facts=BOTH_FAMILIES)
    put(tables, argv, wanted, family)
    once = tables.used()
    put(tables, argv, wanted, family)
    assert tables.used() == once


@given(foreign=foreign_tables(), first=command_lines, second=command_lines, family=families)
@settings(max_examples=150, deadline=None)
def test_put_back_is_exact(
    foreign: str, first: tuple[str, ...], second: tuple[str, ...], family: Family
) -> None:
    """A run that replaces an earlier one's rules and then fails."""
    both = (*first, *second)  # all interfaces are known, as with the same flags
    tables = Tables(foreign)
    put(tables, first, rules(*first, facts=BOTH_FAMILIES), family)
    before, parts = tables.used(), parts_of(tables, first, family)
    put(tables, first, (), family)
    put(tables, second, rules(*second, facts=BOTH_FAMILIES), family)
    back = change.replacement(parts_of(tables, second, family), change.restoration(parts))
    tables.restore(render.text(back))
    assert tables.used() == before, both


@given(argv=command_lines, family=families, data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_damage_is_seen_and_mended(
    argv: tuple[str, ...], family: Family, data: st.DataObject
) -> None:
    wanted = rules(*argv, facts=BOTH_FAMILIES)
    tables = Tables()
    put(tables, argv, wanted, family)
    whole = tables.used()
    table = data.draw(st.sampled_from(sorted(whole)))
    chain = data.draw(st.sampled_from(sorted(whole[table])))
    chains = tables.tables[table][chain]
    place = data.draw(st.integers(0, len(chains) - 1)) if chains else None
    if place is None or chains.pop(place) in chains:
        return  # of two equal rules one does what both do
    parts = parts_of(tables, argv, family)
    if table in parts:
        assert change.differences(parts, wanted, family)
    put(tables, argv, wanted, family)
    assert change.differences(parts_of(tables, argv, family), wanted, family) == []


def test_differences_in_words() -> None:
    wanted = rules("-b", "*", "--drop-invalid")
    tables = Tables()
    put(tables, ("-b", "*", "--drop-invalid"), wanted, Family.V4)
    tables.restore("*nat\n-F ISTIO_REDIRECT\n-D OUTPUT 1\nCOMMIT\n")
    tables.restore("*mangle\n-F PREROUTING\n-F ISTIO_DROP\n-X ISTIO_DROP\nCOMMIT\n")
    tables.restore("*raw\n-N ISTIO_OUTPUT_DNS\nCOMMIT\n")
    found = change.differences(parts_of(tables, (), Family.V4), wanted, Family.V4)
    assert found == [
        "mangle: chain ISTIO_DROP is missing",
        "mangle: our rules in PREROUTING differ",
        "nat: the rules of ISTIO_REDIRECT differ",
        "nat: our rules in OUTPUT differ",
        "raw: chain ISTIO_OUTPUT_DNS is not wanted",
    ]


@pytest.mark.parametrize("damage", ["-F OUTPUT", "-F ISTIO_INBOUND"])
def test_incomplete_is_a_missing_hook_or_chain(damage: str) -> None:
    wanted = rules("-b", "*")
    tables = Tables()
    put(tables, (), wanted, Family.V4)
    assert not change.incomplete(parts_of(tables, (), Family.V4), wanted, Family.V4)
    tables.restore(f"*nat\n{damage}\nCOMMIT\n")
    found = change.incomplete(parts_of(tables, (), Family.V4), wanted, Family.V4)
    assert found == (damage == "-F OUTPUT")


def test_a_rule_is_deleted_by_place_only_where_its_text_would_not_do() -> None:
    tables = Tables("*nat\n-A PREROUTING -i eth9 -j RETURN\nCOMMIT\n")
    argv = ("-c", "eth9")
    put(tables, argv, rules(*argv), Family.V4)
    lines = change.removal(parts_of(tables, argv, Family.V4)["nat"])
    assert lines[:3] == [
        "-D PREROUTING 2",
        "-D OUTPUT -j ISTIO_OUTPUT",
        "-D OUTPUT -o eth9 -j RETURN",
    ]
