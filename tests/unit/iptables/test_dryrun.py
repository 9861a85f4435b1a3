"""A dry run's text."""

from __future__ import annotations

from dataclasses import replace

from iptables import dryrun, render
from iptables.options import Backend
from iptables.rules.rule import Family
from tests.unit.iptables.build import BOTH_FAMILIES, options, rules


def test_ipv4_alone_still_looks_at_ipv6() -> None:
    text = dryrun.commands(options(), rules(), ipv6=False)
    assert text.startswith("iptables-save\nip6tables-save\n* nat\n")
    assert text.endswith("COMMIT\niptables-save\n")


def test_both_families_in_order() -> None:
    text = dryrun.commands(options(), rules(facts=BOTH_FAMILIES), ipv6=True)
    assert text.index("127.0.0.6/32") < text.index("::6/128")
    assert text.endswith("COMMIT\niptables-save\nip6tables-save\n")


def test_nftables() -> None:
    text = dryrun.commands(options("--native-nftables"), rules(), ipv6=False)
    assert text.startswith("add table inet istio-proxy-nat\nflush table inet istio-proxy-nat\n")
    assert "save" not in text


def test_a_clean_up_shows_the_inverse() -> None:
    clean = replace(options(), cleanup_only=True)
    text = dryrun.rules_text(clean, rules(), ipv6=False)
    assert text == render.text(render.inverse_blocks(rules(), Family.V4))
    native = replace(clean, backend=Backend.NFTABLES)
    assert dryrun.rules_text(native, rules(), ipv6=False).count("delete table") == 3
