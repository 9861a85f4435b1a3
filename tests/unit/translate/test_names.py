"""Host names, labels, wildcards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.translate.names import (
    covers,
    host_fault,
    is_label,
    is_port,
    label_fault,
    overlaps,
)


@pytest.mark.parametrize("text", ["a", "A1", "a-b", "1", "x" * 63])
def test_labels(text: str) -> None:
    assert is_label(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", "a.b", "a_b", "*", "x" * 64, "a\n"])
def test_no_labels(text: str) -> None:
    assert not is_label(text)


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("1", True),
        ("65535", True),
        ("0", False),
        ("65536", False),
        ("http", False),
        ("", False),
        ("9" * 5000, False),
        ("-1", False),
        ("٣", False),
    ],
)
def test_ports(text: str, fine: bool) -> None:
    assert is_port(text) is fine


@pytest.mark.parametrize("host", ["reviews", "a.b.c", "a.b.", "x--y.com", "1a.com"])
def test_hosts(host: str) -> None:
    assert host_fault(host) == ""


@pytest.mark.parametrize(
    "host",
    ["", ".", "a..b", "a b", "a/b", "*.com", "1.2.3.4", "a" * 64 + ".com", "a." * 130, "a.1"],
)
def test_no_hosts(host: str) -> None:
    assert host_fault(host) != ""


@pytest.mark.parametrize("host", ["*", "*.com", "*foo.com", "*-foo.com", "a.com"])
def test_wildcards(host: str) -> None:
    assert host_fault(host, wildcard=True) == ""


@pytest.mark.parametrize("host", ["a.*.com", "**.com", "foo*bar", "*.1"])
def test_no_wildcards(host: str) -> None:
    assert host_fault(host, wildcard=True) != ""


@pytest.mark.parametrize(
    ("name", "value", "fine"),
    [
        ("app", "reviews", True),
        ("app.kubernetes.io/name", "a_b.c", True),
        ("app", "", True),
        ("", "a", False),
        ("a b", "a", False),
        ("app", "a b", False),
        ("app", "-a", False),
        ("app", "x" * 64, False),
    ],
)
def test_label_pairs(name: str, value: str, fine: bool) -> None:
    assert (label_fault(name, value) == "") == fine


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("a.com", "a.com", True),
        ("a.com", "b.com", False),
        ("*.com", "a.com", True),
        ("*.com", "*.a.com", True),
        ("*.a.com", "*.com", False),
        ("*", "*.com", True),
        ("*", "a", True),
        ("a.com", "*.com", False),
        ("*.com", "com", False),
    ],
)
def test_covers(wide: str, narrow: str, expected: bool) -> None:
    assert covers(wide, narrow) is expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("*.com", "*.a.com", True),
        ("*.a.com", "*.com", True),
        ("*.a.com", "*.b.com", False),
        ("*.com", "a.com", True),
        ("a.com", "*.com", True),
        ("a.com", "a.com", True),
        ("a.com", "b.com", False),
    ],
)
def test_overlaps(first: str, second: str, expected: bool) -> None:
    assert overlaps(first, second) is expected


hosts = st.builds(
    lambda star, parts: ("*." if star else "") + ".".join(parts),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b", "com"]), min_size=1, max_size=3),
)


@given(hosts, hosts)
def test_what_covers_also_overlaps_and_overlap_is_mutual(first: str, second: str) -> None:
    if covers(first, second):
        assert overlaps(first, second)
    assert overlaps(first, second) == overlaps(second, first)
