"""Chains of subnets: the longest prefix wins."""

from __future__ import annotations

import pytest

from meshproxy.base.addr import Address
from meshproxy.plan.subnets import Subnet, compile_subnets

CHAINS = [
    (Subnet("10.0.0.0/8", 80), "wide"),
    (Subnet("10.1.0.0/16", 80), "narrow"),
    (Subnet("10.1.0.0/16", 80), "second"),
    (Subnet("10.1.0.0/16", 81), "other port"),
    (Subnet("0.0.0.0/0", 82), "all"),
    (Subnet("fd00::/16", 80), "six"),
]


@pytest.mark.parametrize(
    ("ip", "port", "chain"),
    [
        ("10.2.0.1", 80, "wide"),
        ("10.1.2.3", 80, "narrow"),
        ("10.1.2.3", 81, "other port"),
        ("10.2.0.1", 81, None),
        ("11.0.0.1", 80, None),
        ("11.0.0.1", 82, "all"),
        ("fd00::1", 80, "six"),
        ("fd00::1", 82, None),
    ],
)
def test_which_chain(ip: str, port: int, chain: str | None) -> None:
    find = compile_subnets(CHAINS)
    assert [find(Address(ip, port)), find(Address(ip, port))] == [chain, chain]


def test_a_caller_can_not_make_it_remember_without_bound() -> None:
    find = compile_subnets(CHAINS)
    for at in range(3000):
        assert find(Address(f"10.1.{at // 250}.{at % 250}", 80)) == "narrow"
