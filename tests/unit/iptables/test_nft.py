"""The nft transaction: what stands where, and once."""

from __future__ import annotations

from iptables import listing, nft
from iptables.rules.rule import BOTH, V4_ONLY
from tests.unit.iptables.build import BOTH_FAMILIES, rules


def chain(text: str, table: str, name: str) -> list[str]:
    start = f"add rule inet istio-proxy-{table} {name} "
    return [line.removeprefix(start) for line in text.splitlines() if line.startswith(start)]


def test_insertions_are_carried_out() -> None:
    text = nft.transaction(rules("-k", "eth1,eth2", "-i", "*", "-b", "*"))
    assert "insert" not in text
    assert chain(text, "nat", "prerouting") == [
        "iifname eth2 counter jump istio-redirect",
        "iifname eth1 counter jump istio-redirect",
        "iifname eth2 counter return",
        "iifname eth1 counter return",
        "meta l4proto tcp counter jump istio-inbound",
    ]


def test_a_rule_without_an_address_stands_once_for_both_families() -> None:
    argv = ("--redirect-dns", "--capture-all-dns", "-i", "*")
    text = nft.transaction(rules(*argv, facts=BOTH_FAMILIES), BOTH)
    assert chain(text, "nat", "istio-output").count("counter jump istio-output-dns") == 1
    assert chain(text, "nat", "istio-output").count("counter jump istio-redirect") == 1
    assert chain(text, "nat", "istio-output").count("ip6 daddr ::1/128 counter return") == 1


def test_ipv6_rules_are_left_out_where_it_is_off() -> None:
    text = nft.transaction(rules("-i", "10.0.0.0/8,fd00::/8", "-m", "TPROXY", "-b", "*"), V4_ONLY)
    assert "ip6" not in text


def test_a_jump_is_left_out_where_its_chain_would_be_empty() -> None:
    """Only IPv6 resolvers, and IPv6 off: jumping to a chain that is not made would fail it all."""
    from iptables.options import Facts

    found = rules("--redirect-dns", facts=Facts(dns_v6=("fd00::53",)))
    text = nft.transaction(found, V4_ONLY)
    made = {line.split()[4] for line in text.splitlines() if line.startswith("add chain")}
    jumps = {line.rsplit(" ", 1)[1] for line in text.splitlines() if " jump " in line}
    assert jumps <= made


def test_interfaces_by_prefix() -> None:
    text = nft.transaction(rules("-c", "veth+"))
    assert chain(text, "nat", "output")[0] == "oifname veth* counter return"


def test_removal_is_right_for_tables_that_are_not_there() -> None:
    lines = nft.removal().splitlines()
    assert lines[:2] == [
        "add table inet istio-proxy-nat",
        "delete table inet istio-proxy-nat",
    ]
    assert len(lines) == 6


def test_chains_are_made_before_rules_lead_to_them() -> None:
    argv = ("-b", "*", "-i", "*", "-m", "TPROXY", "--drop-invalid", "--redirect-dns",
            "--capture-all-dns")  # fmt: skip
    seen: set[str] = set()
    for line in nft.transaction(rules(*argv), BOTH).splitlines():
        words = line.split()
        if words[:2] == ["add", "table"]:
            seen.clear()
        elif words[:2] == ["add", "chain"]:
            seen.add(words[4])
        elif "jump" in words:
            assert words[-1] in seen


def test_it_reads_back_as_itself() -> None:
    text = nft.transaction(rules("-b", "*", "-i", "*", facts=BOTH_FAMILIES), BOTH)
    assert set(listing.given(text)) == {"istio-proxy-nat"}
