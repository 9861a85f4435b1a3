"""nft's own words for rules."""

from __future__ import annotations

import pytest

from iptables.listing import form, given, listed

# As given, as `nft -s list` (1.0) prints it.
PAIRS = [
    ("oifname lo ip saddr 127.0.0.6/32 counter return",
     'oifname "lo" ip saddr 127.0.0.6 counter return'),
    ("oifname lo meta l4proto tcp ip daddr != 127.0.0.1/32 tcp dport != 15008 skuid 1337 counter "
     "jump x", 'oifname "lo" ip daddr != 127.0.0.1 tcp dport != 15008 meta skuid 1337 counter '
     "jump x"),
    ("meta l4proto tcp tcp dport != { 53, 15008 } counter return",
     "tcp dport != { 53, 15008 } counter return"),
    ("meta l4proto tcp mark 1337 counter ct mark set mark",
     "meta l4proto tcp meta mark 0x00000539 counter ct mark set meta mark"),
    ("counter meta mark set 1338", "counter packets 7 bytes 9 meta mark set 0x0000053a"),
    ("ct state related,established counter return", "ct state established,related counter return"),
    ("udp dport 53 meta skgid 2 counter ct zone set 1", "udp dport 53 meta skgid 2 counter ct zone "
     "set 1"),
    ("ip6 daddr 2001:db8::5/32 counter return", "ip6 daddr 2001:db8::/32 counter return"),
    ("tproxy ip6 to :15006 meta mark set 1337 counter accept",
     "tproxy ip6 to :15006 meta mark set 0x00000539 counter accept"),
    ("iifname e* counter return", 'iifname "e*" counter return'),
]  # fmt: skip

DIFFERENT = [
    ("tcp dport 53 counter return", "udp dport 53 counter return"),
    ("tcp dport 53 counter return", "tcp dport != 53 counter return"),
    ("ip daddr 10.0.0.0/8 return", "ip saddr 10.0.0.0/8 return"),
    ("counter return", "counter accept"),
    ("meta l4proto tcp counter return", "counter return"),
    ("ct mark 1 return", "mark 1 return"),
    ("redirect to :1", "redirect to :2"),
]


@pytest.mark.parametrize(("text", "shown"), PAIRS)
def test_the_same(text: str, shown: str) -> None:
    assert form(text) == form(shown)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_not_the_same(one: str, other: str) -> None:
    assert form(one) != form(other)


@pytest.mark.parametrize(
    "text",
    ["", "counter", "meta", "ip saddr", "!=", "limit rate 5/second", "@set { 1 }", "tcp dport"],
)
def test_what_others_write_is_no_trouble(text: str) -> None:
    assert form(text) == form(text)


LISTING = """\
# Warning: table ip nat is managed by iptables-nft, do not touch!
table ip nat {
	chain OUTPUT {
		type nat hook output priority -100; policy accept;
		xt target "REDIRECT"
	}
}
table inet istio-proxy-nat {
	chain output {
		type nat hook output priority -100; policy accept;
		counter jump istio-output
	}

	chain istio-output {
	}
}
table inet other {
	set names {
		type inet_service
		elements = { 1, 2 }
	}
	chain output {
		ct count over 5 drop
	}
}
"""


def test_only_the_wanted_tables_are_read() -> None:
    assert listed(LISTING, ["istio-proxy-nat"]) == {
        "istio-proxy-nat": {"output": [form("counter jump istio-output")], "istio-output": []}
    }


def test_a_transaction_with_insertions() -> None:
    text = "\n".join([
        "add table inet t", "flush table inet t",
        "add chain inet t c { type nat hook output priority -100 ; }",
        "add rule inet t c counter return",
        "insert rule inet t c index 0 counter drop",
        "insert rule inet t c index 1 counter accept",
    ])  # fmt: skip
    found = given(text)["t"]["c"]
    assert [statement for _, statement in found] == [("drop",), ("accept",), ("return",)]
