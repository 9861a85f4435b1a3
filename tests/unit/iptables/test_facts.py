"""Files of the host as facts."""

from __future__ import annotations

import pytest

from iptables import facts

LOOPBACK = "00000000000000000000000000000001 01 80 10 80       lo\n"
MARKER = "00000000000000000000000000000006 01 80 80 80       lo\n"
LINK = "fe80000000000000ac1c35fffe119902 02 40 20 80     eth0\n"
GLOBAL = "fd770000000000000000000000000001 02 40 00 80     eth0\n"
SITE = "fec00000000000000000000000000001 02 40 40 80     eth0\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        (LOOPBACK + MARKER + LINK, ()),
        (LOOPBACK + LINK + GLOBAL, ("fd77::1",)),
        (SITE, ("fec0::1",)),
        ("rubbish\n", ()),
    ],
)
def test_ipv6_addresses(text: str, found: tuple[str, ...]) -> None:
    assert facts.ipv6_addresses(text) == found


def test_one_address_on_one_interface() -> None:
    assert facts.has_address(LOOPBACK + MARKER, "::6", "lo")
    assert not facts.has_address(LOOPBACK, "::6", "lo")
    assert not facts.has_address(GLOBAL, "fd77::1", "lo")
    assert not facts.has_address("", "::6", "lo")


def test_resolvers() -> None:
    text = """\
# nameserver 9.9.9.9
search svc.cluster.local
nameserver 10.96.0.10
nameserver fd00::10
nameserver fe80::1%eth0
nameserver not-an-address
nameserver
nameserver 127.0.0.53 # local
"""
    assert facts.resolvers(text) == (("10.96.0.10", "127.0.0.53"), ("fd00::10",))


@pytest.mark.parametrize(
    ("effective", "raw_too", "missing"),
    [
        ("000001ffffffffff", True, ()),
        ("0000000000003000", True, ()),
        ("0000000000001000", True, ("NET_RAW",)),
        ("0000000000001000", False, ()),
        ("0000000000002000", False, ("NET_ADMIN",)),
        ("0000000000000000", True, ("NET_ADMIN", "NET_RAW")),
    ],
)
def test_capabilities(effective: str, raw_too: bool, missing: tuple[str, ...]) -> None:
    status = f"Name:\tpython\nCapPrm:\t0000000000000000\nCapEff:\t{effective}\n"
    assert facts.missing_capabilities(status, raw_too) == missing


def test_a_kernel_that_does_not_say() -> None:
    assert facts.missing_capabilities("Name:\tpython\n", True) == ()
