"""What the host's files say."""

from __future__ import annotations

import pytest

from meshproxy.base.addr import ServerAddr
from meshproxy.wire.resolv_conf import ResolvConf, candidates, parse_hosts, parse_resolv_conf

POD = """\
# made by the kubelet
nameserver 10.96.0.10
nameserver fd00::a
nameserver nobody
search default.svc.cluster.local svc.cluster.local cluster.local
options ndots:5 timeout:2 attempts:3 edns0
"""


def test_the_file_of_a_pod() -> None:
    assert parse_resolv_conf(POD) == ResolvConf(
        (ServerAddr("10.96.0.10", 53), ServerAddr("fd00::a", 53)),
        ("default.svc.cluster.local", "svc.cluster.local", "cluster.local"),
        5,
        2.0,
        3,
    )


def test_nothing_said_is_the_c_librarys_default() -> None:
    assert parse_resolv_conf("") == ResolvConf((ServerAddr("127.0.0.1", 53),), (), 1, 5.0, 2)


def test_bounds_are_those_of_the_c_library() -> None:
    text = "nameserver 10.0.0.1\n" * 5 + "options ndots:99 timeout:0 attempts:9\n; x\ndomain a.b"
    found = parse_resolv_conf(text)
    assert (len(found.servers), found.dots, found.timeout, found.attempts) == (3, 15, 1.0, 5)
    assert found.search == ("a.b",)


@pytest.mark.parametrize(
    ("name", "dots", "expected"),
    [
        ("db", 1, ("db.x.y", "db.y", "db")),
        ("db.example", 1, ("db.example", "db.example.x.y", "db.example.y")),
        ("db.example", 5, ("db.example.x.y", "db.example.y", "db.example")),
        ("db.example.", 5, ("db.example",)),
    ],
)
def test_candidates(name: str, dots: int, expected: tuple[str, ...]) -> None:
    assert candidates(name, ResolvConf(search=("x.y", "y"), dots=dots)) == expected


def test_hosts() -> None:
    text = "127.0.0.1 localhost Alias # more\n\n::1 localhost\n10.0.0.1 db.example.\nnobody x\n"
    assert parse_hosts(text) == {
        "localhost": ("127.0.0.1", "::1"),
        "alias": ("127.0.0.1",),
        "db.example": ("10.0.0.1",),
    }
