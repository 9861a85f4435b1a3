"""The two ways to the kernel ask it for the same."""

from __future__ import annotations

import errno
import socket
import sys
import types
from collections.abc import Sequence
from typing import Any, Self, cast

import pytest

from iptables import netlink
from iptables.errors import Failed
from iptables.execute import Result, Runner
from iptables.routes import PolicyRoute
from iptables.rules.rule import Family

ROUTE = PolicyRoute(Family.V6, 1337, 133)


class KernelError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Kernel:
    """What `pyroute2.IPRoute` offers, as far as it is used."""

    def __init__(self, code: int = 0) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._code = code

    def __call__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def link_lookup(self, ifname: str) -> list[int]:
        assert ifname == "lo"
        return [1]

    def _ask(self, what: str, *values: object, **named: object) -> None:
        self.asked.append((what, *values, *sorted(named.items())))
        if self._code:
            raise KernelError(self._code)

    def addr(self, *values: object, **named: object) -> None:
        self._ask("addr", *values, **named)

    def rule(self, *values: object, **named: object) -> None:
        self._ask("rule", *values, **named)

    def route(self, *values: object, **named: object) -> None:
        self._ask("route", *values, **named)


class Programs:
    """A host with `ip`, or without, which answers what the test says."""

    def __init__(self, status: int = 0, errors: str = "", program: str | None = "/sbin/ip") -> None:
        self._answer = Result(status, "", errors)
        self._program = program
        self.asked: list[str] = []

    def find(self, program: str) -> str | None:
        return self._program

    def run(self, argv: Sequence[str], text: str = "") -> Result:
        self.asked.append(" ".join(argv[1:]))
        return self._answer


def by_netlink(kernel: Kernel) -> netlink.ByNetlink:
    return netlink.ByNetlink(kernel, KernelError)


def by_program(programs: Programs) -> netlink.ByProgram:
    return netlink.ByProgram(cast(Runner, programs), "/sbin/ip")


def test_what_the_program_is_asked() -> None:
    programs = Programs()
    links = by_program(programs)
    assert links.address()
    assert links.rule("add", ROUTE)
    assert links.route("del", ROUTE)
    assert programs.asked == [
        "-6 addr add ::6/128 dev lo",
        "-6 rule add fwmark 1337 lookup 133 priority 32765",
        "-6 route del local default dev lo table 133",
    ]


def test_what_the_kernel_is_asked() -> None:
    kernel = Kernel()
    links = by_netlink(kernel)
    assert links.address()
    assert links.rule("add", ROUTE)
    assert links.route("del", ROUTE)
    address, rule, route = (dict(each[2:]) for each in kernel.asked)
    assert [each[:2] for each in kernel.asked] == [
        ("addr", "add"),
        ("rule", "add"),
        ("route", "del"),
    ]
    assert (address["address"], address["prefixlen"], address["index"]) == ("::6", 128, 1)
    assert (rule["fwmark"], rule["table"], rule["family"]) == (1337, 133, socket.AF_INET6)
    assert (route["dst"], route["type"], route["oif"]) == ("::/0", "local", 1)


def test_there_already() -> None:
    links = by_netlink(Kernel(errno.EEXIST))
    assert not links.address()
    assert not links.rule("add", ROUTE)
    for errors in ("RTNETLINK answers: File exists", "Error: ipv6: address already assigned."):
        assert not by_program(Programs(2, errors)).address()


@pytest.mark.parametrize(
    ("code", "errors"),
    [
        (errno.ENOENT, "RTNETLINK answers: No such file or directory"),
        (errno.ESRCH, "RTNETLINK answers: No such process"),
        (errno.ESRCH, "Error: ipv4: FIB table does not exist."),
        (errno.EAFNOSUPPORT, "RTNETLINK answers: Address family not supported by protocol"),
        (errno.EOPNOTSUPP, "RTNETLINK answers: Operation not supported"),
    ],
)
def test_gone_already_or_never_possible(code: int, errors: str) -> None:
    """Fine when deleting, and no success when adding."""
    assert not by_netlink(Kernel(code)).rule("del", ROUTE)
    assert not by_program(Programs(2, errors)).rule("del", ROUTE)
    with pytest.raises(Failed):
        by_netlink(Kernel(code)).rule("add", ROUTE)
    with pytest.raises(Failed):
        by_program(Programs(2, errors)).rule("add", ROUTE)


def test_a_real_refusal() -> None:
    with pytest.raises(Failed, match=r"adding ::6 to lo: EACCES\."):
        by_netlink(Kernel(errno.EACCES)).address()
    with pytest.raises(Failed, match=r"Operation not permitted\.$"):
        by_program(Programs(2, "RTNETLINK answers: Operation not permitted\n")).rule("add", ROUTE)


class TestChoice:
    @pytest.fixture(autouse=True)
    def _without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyroute2", None)

    def test_the_program_where_the_package_is_missing(self) -> None:
        assert isinstance(netlink.links(cast(Runner, Programs())), netlink.ByProgram)

    def test_neither(self) -> None:
        with pytest.raises(Failed, match="pyroute2 or the program ip"):
            netlink.links(cast(Runner, Programs(program=None)))


def test_the_package_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.ModuleType("pyroute2")
    monkeypatch.setattr(package, "IPRoute", Kernel, raising=False)
    monkeypatch.setattr(package, "NetlinkError", KernelError, raising=False)
    monkeypatch.setitem(sys.modules, "pyroute2", package)
    assert isinstance(netlink.links(cast(Runner, Programs(program=None))), netlink.ByNetlink)
