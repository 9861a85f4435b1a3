"""Reading the host's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from iptables import host
from tests.unit.iptables.build import options


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("IF_INET6", "RESOLV_CONF", "STATUS"):
        monkeypatch.setattr(host, name, tmp_path / name)
    return tmp_path


def test_a_host_that_has_none_of_the_files(files: Path) -> None:
    assert host.learn(options("--redirect-dns")).ipv6 is False
    assert host.missing_capabilities(raw_too=True) == ()
    assert not host.has_address("::6", "lo")


def test_resolvers_are_read_only_where_rules_name_them(files: Path) -> None:
    (files / "RESOLV_CONF").write_text("nameserver 10.0.0.1\nnameserver fd00::1\n")
    found = host.learn(options("--redirect-dns"))
    assert (found.dns_v4, found.dns_v6) == (("10.0.0.1",), ("fd00::1",))
    for argv in ((), ("--redirect-dns", "--capture-all-dns")):
        assert host.learn(options(*argv)).dns_v4 == ()


def test_ipv6_and_capabilities(files: Path) -> None:
    address = "fd770000000000000000000000000001 02 40 00 80     eth0\n"
    (files / "IF_INET6").write_text(address)
    (files / "STATUS").write_text("CapEff:\t0000000000000000\n")
    assert host.learn(options()).ipv6
    assert host.has_address("fd77::1", "eth0")
    assert host.missing_capabilities(raw_too=False) == ("NET_ADMIN",)


def test_users() -> None:
    people = host.UserDatabase()
    assert (people.user("root"), people.group("root")) == (0, 0)
    assert people.user("no-such-user") is None
    assert people.group("no-such-group") is None
    assert host.user_id() == os.geteuid()
