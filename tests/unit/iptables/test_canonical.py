"""What is written and what the kernel shows of it are the same rule."""

from __future__ import annotations

import pytest

from iptables.canonical import canonical

# As written, as `iptables-save` (1.8, both backends) prints it.
PAIRS = [
    ("-o lo -s 127.0.0.6/32 -j RETURN", "-s 127.0.0.6/32 -o lo -j RETURN"),
    (
        "-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN",
        "! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --uid-owner 1337 "
        "-j ISTIO_IN",
    ),
    ("-d 10.1.2.3/8 -j RETURN", "-d 10.0.0.0/8 -j RETURN"),
    ("-d 0.0.0.0/0 -j RETURN", "-j RETURN"),
    ("-d ::127.0.0.53/128 -j RETURN", "-d ::7f00:35/128 -j RETURN"),
    ("-p tcp -m mark --mark 1337 -j RETURN", "-p tcp -m mark --mark 0x539 -j RETURN"),
    ("-m mark ! --mark 1338 -j RETURN", "-m mark ! --mark 0x53a/0xffffffff -j RETURN"),
    ("-j MARK --set-mark 1337", "-j MARK --set-xmark 0x539/0xffffffff"),
    (
        "-p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006",
        "-p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff",
    ),
    (
        "-j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006",
        "-j TPROXY --on-port 15006 --on-ip :: --tproxy-mark 0x539/0xffffffff",
    ),
    (
        "-j CONNMARK --save-mark",
        "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
    ),
    (
        "-p udp --dport 53 -j REDIRECT --to-port 15053",
        "-p udp -m udp --dport 53 -j REDIRECT --to-ports 15053",
    ),
    (
        "-m conntrack --ctstate RELATED,ESTABLISHED -j X",
        "-m conntrack --ctstate ESTABLISHED,RELATED -j X",
    ),
    (
        "-m owner ! --gid-owner 300 -m owner ! --gid-owner 202 -j RETURN",
        "-m owner ! --gid-owner 202 -m owner ! --gid-owner 300 -j RETURN",
    ),
]

DIFFERENT = [
    ("-d 10.0.0.0/8 -j RETURN", "! -d 10.0.0.0/8 -j RETURN"),
    ("! -d 0.0.0.0/0 -j RETURN", "-j RETURN"),
    ("-m mark --mark 1 -j RETURN", "-m connmark --mark 1 -j RETURN"),
    ("-m mark --mark 1 -j RETURN", "-m mark --mark 1/0x1 -j RETURN"),
    ("-p tcp --dport 53 -j X", "-p tcp --sport 53 -j X"),
    ("-p tcp -j X", "-p udp -j X"),
    ("-j X", "-j Y"),
    ("-j X", "-g Y"),
    ("-j REDIRECT --to-ports 1", "-j REDIRECT --to-ports 2"),
    ("-j CONNMARK --save-mark", "-j CONNMARK --restore-mark"),
    ('-m comment --comment "a -j X" -j Y', "-j Y"),
    ("-i eth0 -j X", "-o eth0 -j X"),
    ("-j MARK --set-xmark 0x1/0xff", "-j MARK --set-xmark 0x1/0xffffffff"),
]


@pytest.mark.parametrize(("written", "shown"), PAIRS)
def test_the_same(written: str, shown: str) -> None:
    assert canonical(written) == canonical(shown)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_not_the_same(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        ("-j ISTIO_OUTPUT", "ISTIO_OUTPUT"),
        ('-m comment --comment "x -j ISTIO_OUTPUT" -j THEIRS', "THEIRS"),
        ("-p tcp", ""),
        ("", ""),
    ],
)
def test_where_a_rule_leads(spec: str, target: str) -> None:
    assert canonical(spec).target_name == target


@pytest.mark.parametrize(
    "spec", ["-s name.example -j X", "-m mark --mark x -j Y", "-d 1.2.3.4/255.0.0.255 -j X"]
)
def test_what_is_not_understood_is_compared_as_text(spec: str) -> None:
    assert canonical(spec) == canonical(spec)
