"""Texts as values: what is taken, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_interface

import pytest

from iptables import values
from iptables.values import BadValue


@pytest.mark.parametrize(
    ("convert", "text", "value"),
    [
        (values.items, "", ()),
        (values.items, "6000,7000,", ("6000", "7000")),
        (values.items, ",,a", ("a",)),
        (values.port, "1", 1),
        (values.port, "65535", 65535),
        (values.switch, "t", True),
        (values.switch, "TRUE", True),
        (values.switch, "F", False),
        (values.switch, "", False),
        (values.duration, "5s", 5.0),
        (values.duration, "1m30s", 90.0),
        (values.duration, "500ms", 0.5),
        (values.duration, "1.5h", 5400.0),
        (values.cidr, "10.1.2.3/8", ip_interface("10.1.2.3/8")),
        (values.cidr, "2001:DB8::/32", ip_interface("2001:db8::/32")),
        (values.loopback_cidr, "127.0.0.0/8", "127.0.0.0/8"),
        (values.interface, "eth0.100", "eth0.100"),
        (values.interface, "veth+", "veth+"),
        (values.mark, "0x539", 1337),
        (values.mark, "7", 7),
        (values.route_table, "133", 133),
        (values.owner, "0", "0"),
        (values.owner, "1000-2000", "1000-2000"),
        (values.owner, "istio-proxy", "istio-proxy"),
    ],
)
def test_taken(convert: Callable[[str], object], text: str, value: object) -> None:
    assert convert(text) == value


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        (values.port, "0"),
        (values.port, "65536"),
        (values.port, " 80"),
        (values.port, "http"),
        (values.port, "80:90"),
        (values.port, "*"),
        (values.port, "٣"),
        (values.switch, "yes"),
        (values.duration, "5"),
        (values.duration, "s"),
        (values.duration, "5s and more"),
        (values.duration, "0s"),
        (values.cidr, "10.0.0.1"),
        (values.cidr, "10.0.0.0/33"),
        (values.cidr, "10.0.0.0/255.0.0.0"),
        (values.cidr, "fe80::1%eth0/64"),
        (values.cidr, "*"),
        (values.loopback_cidr, "10.0.0.0/8"),
        (values.loopback_cidr, "127.0.0.0/7"),
        (values.loopback_cidr, "::1/128"),
        (values.interface, "a-name-that-is-too-long"),
        (values.interface, "eth 0"),
        (values.interface, "eth0;drop"),
        (values.mark, "0"),
        (values.mark, "0xzz"),
        (values.mark, "4294967296"),
        (values.route_table, "254"),
        (values.route_table, "0"),
        (values.owner, "4294967295"),
        (values.owner, "5-2"),
        (values.owner, "-"),
        (values.owner, "a b"),
        (values.owner, "$(id)"),
    ],
)
def test_refused_with_the_text_in_the_message(convert: Callable[[str], object], text: str) -> None:
    with pytest.raises(BadValue) as raised:
        convert(text)
    assert repr(text) in str(raised.value) or "duration of nothing" in str(raised.value)
