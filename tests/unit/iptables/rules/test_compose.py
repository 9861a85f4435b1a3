"""Which rules there are and in which order; the whole of it is compared in `conformance/`."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from iptables import render
from iptables.options import Facts
from iptables.rules.compose import recognisable
from iptables.rules.rule import Family, Rule, Table
from tests.unit.iptables.build import BOTH_FAMILIES, IPV4, options, rules


def lines(found: Sequence[Rule], table: str, chain: str, family: Family = Family.V4) -> list[str]:
    """A chain's rules, in the order in which they are added."""
    return [
        render.line(rule)
        for rule in found
        if rule.table == table and rule.chain == chain and family in rule.families
    ]


OUTPUT = "ISTIO_OUTPUT"


class TestOutbound:
    def test_the_usual(self) -> None:
        assert lines(rules("-i", "*", "-o", "9", "-x", "10.0.0.0/8", "-q", "7"), "nat", OUTPUT) == [
            "-A ISTIO_OUTPUT -p tcp --dport 9 -j RETURN",
            "-A ISTIO_OUTPUT -p udp --dport 9 -j RETURN",
            "-A ISTIO_OUTPUT -o lo -s 127.0.0.6/32 -j RETURN",
            "-A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner "
            "1337 -j ISTIO_IN_REDIRECT",
            "-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN",
            "-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
            "-A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --gid-owner "
            "1337 -j ISTIO_IN_REDIRECT",
            "-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN",
            "-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN",
            "-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN",
            "-A ISTIO_OUTPUT -d 10.0.0.0/8 -j RETURN",
            "-A ISTIO_OUTPUT -p tcp --dport 7 -j ISTIO_REDIRECT",
            "-A ISTIO_OUTPUT -j ISTIO_REDIRECT",
        ]  # fmt: skip

    @pytest.mark.parametrize("cidr", ["127.0.0.0/8", "127.1.2.3/32", "::1/128"])
    def test_a_captured_loopback_range_ends_the_exemption(self, cidr: str) -> None:
        found = "\n".join(lines(rules("-i", cidr), "nat", OUTPUT))
        assert "! --uid-owner" not in found
        assert "! --gid-owner" not in found

    def test_loopback_of_this_host(self) -> None:
        found = rules(ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR="127.0.0.0/8", facts=BOTH_FAMILIES)
        assert "-A ISTIO_OUTPUT -d 127.0.0.0/8 -j RETURN" in lines(found, "nat", OUTPUT)
        v6 = lines(found, "nat", OUTPUT, Family.V6)
        assert "-A ISTIO_OUTPUT -d ::1/128 -j RETURN" in v6

    def test_groups(self) -> None:
        none_of = lines(rules(ISTIO_OUTBOUND_OWNER_GROUPS="5,6"), "nat", OUTPUT)
        both = "-A ISTIO_OUTPUT -m owner ! --gid-owner 5 -m owner ! --gid-owner 6 -j RETURN"
        assert both in none_of
        excluded = lines(rules(ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE="5"), "nat", OUTPUT)
        assert "-A ISTIO_OUTPUT -m owner --gid-owner 5 -j RETURN" in excluded
        assert "-A ISTIO_OUTPUT -j RETURN" in lines(
            rules(ISTIO_OUTBOUND_OWNER_GROUPS=""), "nat", OUTPUT
        )

    def test_ranges_keep_their_host_bits_as_written(self) -> None:
        assert "-A ISTIO_OUTPUT -d 10.1.2.3/8 -j ISTIO_REDIRECT" in lines(
            rules("-i", "10.1.2.3/8"), "nat", OUTPUT
        )


class TestInbound:
    def test_all_but_some(self) -> None:
        assert lines(rules("-b", "*", "-d", "1"), "nat", "ISTIO_INBOUND") == [
            "-A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN",
            "-A ISTIO_INBOUND -p tcp --dport 1 -j RETURN",
            "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
        ]

    def test_some(self) -> None:
        """An exclusion means nothing beside a list."""
        assert lines(rules("-b", "80", "-d", "1"), "nat", "ISTIO_INBOUND")[1:] == [
            "-A ISTIO_INBOUND -p tcp --dport 80 -j ISTIO_IN_REDIRECT"
        ]

    def test_none(self) -> None:
        assert lines(rules("-b", ""), "nat", "PREROUTING") == []

    def test_ports_of_the_sidecar(self) -> None:
        found = rules("-p", "1", "-z", "2", "-e", "3", "-b", "*")
        assert lines(found, "nat", "ISTIO_REDIRECT")[0].endswith("--to-ports 1")
        assert lines(found, "nat", "ISTIO_IN_REDIRECT")[0].endswith("--to-ports 2")
        assert "--dport 3 " in lines(found, "nat", "ISTIO_INBOUND")[0]


class TestInterfaces:
    def test_excluded_first_in_every_table_that_is_used(self) -> None:
        found = rules("-c", "e1,e2", "-m", "TPROXY", "-b", "*")
        for table in ("nat", "mangle"):
            assert lines(found, table, "OUTPUT")[:2] == [
                "-A OUTPUT -o e1 -j RETURN",
                "-A OUTPUT -o e2 -j RETURN",
            ]

    def test_virtual_interfaces_are_inserted(self) -> None:
        found = rules("-k", "e1", "-i", "10.0.0.0/8,11.0.0.0/8")
        assert lines(found, "nat", "PREROUTING") == [
            "-I PREROUTING 1 -i e1 -j RETURN",
            "-I PREROUTING 1 -i e1 -d 10.0.0.0/8 -j ISTIO_REDIRECT",
            "-I PREROUTING 1 -i e1 -d 11.0.0.0/8 -j ISTIO_REDIRECT",
        ]

    def test_those_of_the_other_mode_are_recognised(self) -> None:
        known = recognisable(options("-c", "e1"), IPV4)
        assert [rule.table for rule in known[:2]] == [Table.MANGLE, Table.MANGLE]
        assert set(rules("-c", "e1")) < set(known)


class TestDns:
    def test_every_resolver(self) -> None:
        found = rules("--redirect-dns", "--capture-all-dns")
        assert lines(found, "nat", "ISTIO_OUTPUT_DNS") == [
            "-A ISTIO_OUTPUT_DNS -p tcp --dport 53 -j REDIRECT --to-ports 15053",
            "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -j REDIRECT --to-port 15053",
        ]
        assert lines(found, "raw", "ISTIO_INBOUND") == [
            "-A ISTIO_INBOUND -p udp --sport 53 -j CT --zone 1"
        ]

    def test_resolvers_of_one_family_alone(self) -> None:
        facts = Facts(ipv6=True, dns_v4=("10.0.0.1",))
        found = rules("--redirect-dns", facts=facts)
        jump = "-A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS"
        assert jump in lines(found, "nat", OUTPUT, Family.V4)
        assert jump not in lines(found, "nat", OUTPUT, Family.V6)
        assert lines(found, "raw", "PREROUTING", Family.V6) == []
        # The agent's own queries get their zone in both families all the same.
        assert len(lines(found, "raw", "ISTIO_OUTPUT_DNS", Family.V6)) == 4

    def test_no_resolver_no_capture(self) -> None:
        assert rules("--redirect-dns") == rules()

    def test_the_exemption_of_loopback_spares_resolvers_there(self) -> None:
        found = lines(rules("--redirect-dns", "--capture-all-dns"), "nat", OUTPUT)
        exempt = "-A ISTIO_OUTPUT -o lo -p tcp ! --dport 53 -m owner ! --uid-owner 1337 -j RETURN"
        assert exempt in found
        assert any("! --dports 53,15008" in line and "--uid-owner" in line for line in found)
        assert not any("! --dports 53,15008" in line and "--gid-owner" in line for line in found)


class TestTproxy:
    def test_inbound_goes_by_mangle_alone(self) -> None:
        found = rules("-b", "*", "-m", "TPROXY")
        assert lines(found, "nat", "PREROUTING") == []
        assert lines(found, "mangle", "ISTIO_INBOUND")[:2] == [
            "-A ISTIO_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT",
            "-A ISTIO_INBOUND -p tcp -j ISTIO_TPROXY",
        ]

    def test_mark(self) -> None:
        found = rules("-b", "*", "-m", "TPROXY", "-t", "7")
        assert lines(found, "mangle", "ISTIO_TPROXY") == [
            "-A ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --tproxy-mark 7/0xffffffff "
            "--on-port 15006"
        ]

    def test_the_clients_address_towards_the_app(self) -> None:
        rule = "-A ISTIO_OUTPUT -o lo -m mark --mark 1337 -j RETURN"
        flags = ("-b", "*", "-m", "TPROXY")
        assert lines(rules(*flags, "--original-source"), "nat", OUTPUT)[1] == rule
        assert rule not in lines(rules(*flags), "nat", OUTPUT)
        assert rule not in lines(rules("-b", "*", "--original-source"), "nat", OUTPUT)


def test_drop_invalid() -> None:
    found = rules("--drop-invalid")
    assert lines(found, "mangle", "PREROUTING") == [
        "-A PREROUTING -m conntrack --ctstate INVALID -j ISTIO_DROP"
    ]
    assert lines(found, "mangle", "ISTIO_DROP") == ["-A ISTIO_DROP -j DROP"]
