"""Restore text: its shape, its spelling, and its inverse."""

from __future__ import annotations

import pytest

from iptables import render
from iptables.rules.rule import Family
from tests.unit.iptables.build import BOTH_FAMILIES, rules
from tests.unit.iptables.tables import Tables

COMMAND_LINES = [
    (),
    ("-b", "*", "-d", "15020", "-i", "*"),
    ("-b", "80,81", "-m", "TPROXY", "-c", "eth1", "-k", "eth2", "-i", "10.0.0.0/8,fd00::/8"),
    ("--redirect-dns", "--capture-all-dns", "--drop-invalid", "-u", "1,2", "-q", "5", "-o", "6"),
]


def test_a_block_a_table_in_alphabetical_order() -> None:
    found = render.blocks(rules("-m", "TPROXY", "-b", "*", "--drop-invalid"), Family.V4)
    text = render.text(found)
    assert list(found) == ["mangle", "nat"]
    assert text.startswith("* mangle\n-N ISTIO_")
    assert text.count("COMMIT\n") == 2
    assert text.endswith("COMMIT\n")


def test_chains_that_are_only_jumped_to_come_last() -> None:
    lines = render.blocks(rules("-b", "*", "--drop-invalid"), Family.V4)["mangle"]
    assert lines[0] == "-N ISTIO_DROP"
    lines = render.blocks(rules("--redirect-dns", "--capture-all-dns"), Family.V4)["raw"]
    assert lines[:2] == ["-N ISTIO_OUTPUT_DNS", "-N ISTIO_INBOUND"]


def test_an_empty_block_is_left_out() -> None:
    assert render.text({"nat": [], "raw": []}) == ""


def test_each_family_has_its_own_addresses() -> None:
    mine = rules("-i", "10.0.0.0/8,2001:db8::/32", facts=BOTH_FAMILIES)
    v4 = render.text(render.blocks(mine, Family.V4))
    v6 = render.text(render.blocks(mine, Family.V6))
    assert ("127.0.0.6/32" in v4, "::6/128" in v4, "2001:" in v4) == (True, False, False)
    assert ("::6/128" in v6, "127.0.0.1" in v6, "10.0.0.0" in v6) == (True, False, False)


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("argv", COMMAND_LINES)
def test_the_inverse_is_exact(argv: tuple[str, ...], family: Family) -> None:
    mine = rules(*argv, facts=BOTH_FAMILIES)
    tables = Tables("*nat\n-A PREROUTING -p udp -j ACCEPT\n-A OUTPUT -j ACCEPT\nCOMMIT\n")
    before = tables.used()
    tables.restore(render.text(render.blocks(mine, family)))
    assert "ISTIO_OUTPUT" in tables.used()["nat"]
    tables.restore(render.text(render.inverse_blocks(mine, family)))
    assert tables.used() == before
