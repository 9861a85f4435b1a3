"""What a host has, looked at once."""

from __future__ import annotations

from typing import cast

from iptables.backends import Available, Wish, survey
from iptables.execute import Runner
from iptables.options import Backend
from tests.unit.iptables.build import BOTH_FAMILIES, rules
from tests.unit.iptables.tables import FakeRunner

RULES = rules("-b", "*", facts=BOTH_FAMILIES)
WISH = Wish(RULES, RULES, ipv6=True)
ALL = (Backend.NFT, Backend.LEGACY, Backend.NFTABLES)


def look(runner: FakeRunner, wish: Wish = WISH) -> dict[Backend, Available]:
    return {each.backend: each for each in survey(cast(Runner, runner), wish, ALL)}


def test_what_is_missing_comes_with_the_reason() -> None:
    found = look(FakeRunner("iptables-nft"))
    assert found[Backend.NFT].reason == ""
    assert found[Backend.NFT].without_ipv6 == "ip6tables-nft is not installed"
    assert found[Backend.LEGACY].reason == "iptables-legacy is not installed"
    assert found[Backend.NFTABLES].reason == "nft is not installed"


def test_a_program_that_fails_is_no_backend() -> None:
    runner = FakeRunner()
    runner.fails["iptables-nft-save"] = ["generation id: Protocol not supported"]
    assert "kernel module nf_tables is missing" in look(runner)[Backend.NFT].reason


def test_ipv6_may_fail_by_itself() -> None:
    runner = FakeRunner()
    runner.fails["ip6tables-nft-save"] = ["Address family not supported by protocol"]
    found = look(runner)[Backend.NFT]
    assert (found.reason, len(found.rulesets)) == ("", 1)
    assert "Address family not supported" in found.without_ipv6


def test_families_together() -> None:
    runner = FakeRunner(v6="*filter\n-A INPUT -j ACCEPT\nCOMMIT\n")
    seen = look(runner)[Backend.NFT].look
    assert (seen.ours, seen.used, seen.incomplete) == (False, True, True)
    assert len(seen.differences) == 12  # for each family four chains and two hooks


def test_without_ipv6_nothing_is_wanted_of_it() -> None:
    found = look(FakeRunner(), Wish(RULES, RULES, ipv6=False))[Backend.NFT]
    (_, v4), (_, v6) = found.rulesets
    assert v4.differences
    assert v6.differences == ()


def test_a_wish_to_remove() -> None:
    assert not look(FakeRunner(), WISH.without())[Backend.NFT].look.differences
