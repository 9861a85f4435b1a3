"""Tables against the plain way of looking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.base.lookup import (
    HostTable,
    PathTable,
    first_segment,
    host_and_port,
    host_of,
    reference_find_host,
)

labels = st.sampled_from(["a", "b", "shop", "default", "svc", "x"])
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
domains = st.one_of(names, names.map("*.{}".format), names.map("*-{}".format), st.just("*"))


@given(st.lists(domains, unique=True, max_size=12), names)
def test_hosts(table: list[str], host: str) -> None:
    entries = [(domain, domain) for domain in table]
    assert HostTable(entries).find(host.encode()) == reference_find_host(entries, host)


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        (b"Shop.Default:8080", "shop.default"),
        (b"shop", "shop"),
        (b"[FD00::1]:80", "fd00::1"),
        (b"[::1]", "::1"),
        (b"", ""),
        (b"10.0.0.1:80", "10.0.0.1"),
    ],
)
def test_host_of(authority: bytes, host: str) -> None:
    assert host_of(authority) == host


def test_the_first_to_claim_a_name_keeps_it() -> None:
    assert HostTable([("a", 1), ("a", 2)]).find(b"a") == 1


def test_what_is_remembered_is_bounded() -> None:
    table = HostTable([("a", 1)], remember=4)
    for number in range(100):
        assert table.find(b"host-%d" % number) is None
        assert len(table._known) <= 4
    assert table.find(b"A:80") == 1


@pytest.mark.parametrize(
    ("path", "segment"),
    [
        (b"/", b""),
        (b"/api", b"api"),
        (b"/api/v1", b"api"),
        (b"/api?x=/y", b"api"),
        (b"/?x", b""),
        (b"//x", b""),
        (b"*", b""),
    ],
)
def test_first_segment(path: bytes, segment: bytes) -> None:
    assert first_segment(path) == segment


def test_buckets_keep_the_declared_order() -> None:
    rules = [("any", None), ("a1", b"a"), ("b", b"b"), ("any2", None), ("a2", b"a")]
    table = PathTable(rules, lambda rule: rule[1])
    assert [name for name, _ in table.candidates(b"/a/x")] == ["any", "a1", "any2", "a2"]
    assert [name for name, _ in table.candidates(b"/c")] == ["any", "any2"]


@pytest.mark.parametrize(
    ("authority", "key"),
    [
        (b"Shop", "shop:80"),
        (b"shop:8080", "shop:8080"),
        (b"[fd00::1]", "fd00::1:80"),
        (b"[fd00::1]:81", "fd00::1:81"),
        (b"", ":80"),
    ],
)
def test_hosts_with_their_port(authority: bytes, key: str) -> None:
    assert host_and_port(authority) == key
    assert HostTable([(key, 1)], by_port=True).find(authority) == 1
    assert HostTable([(f"{key}1", 1)], by_port=True).find(authority) is None
