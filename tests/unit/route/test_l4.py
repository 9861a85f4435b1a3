"""Which rule a connection falls under."""

from __future__ import annotations

import pytest

from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.route.l4 import compile_l4

ARMS = (WeightedCluster("c"),)


def chosen(ip: str, name: str, *rules: tuple[str, str]) -> int | None:
    """Rules as (subnets, names), each with blanks between them."""
    made = [
        TcpRoute(ARMS, subnets=tuple(subnets.split()), sni=tuple(names.split()))
        for subnets, names in rules
    ]
    return compile_l4(made, list(range(len(made))))(ip, name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.example.com", 2),
        ("b.example.com", 1),
        ("x.y.example.com", 1),
        ("example.com", 0),
        ("example.org", 3),
        ("", None),
        (".com", 3),
    ],
)
def test_the_most_exact_name_wins(name: str, expected: int | None) -> None:
    rules = [("", "*.com"), ("", "*.example.com"), ("", "a.example.com"), ("", "*")]
    assert chosen("10.0.0.1", name, *rules) == expected


def test_what_asks_for_no_name_takes_the_rest() -> None:
    rules = [("", "a.example"), ("", "")]
    assert chosen("10.0.0.1", "b.example", *rules) == 1
    assert chosen("10.0.0.1", "", *rules) == 1


def test_the_first_of_two_alike_wins() -> None:
    assert chosen("10.0.0.1", "a", ("", "a"), ("", "a b"), ("", "b")) == 0
    assert chosen("10.0.0.1", "b", ("", "a"), ("", "a b"), ("", "b")) == 1


@pytest.mark.parametrize(
    ("ip", "expected"),
    [("10.1.2.3", 2), ("10.1.9.9", 1), ("10.9.9.9", 0), ("192.0.2.1", None), ("fd00::1", 3)],
)
def test_the_most_exact_subnet_wins(ip: str, expected: int | None) -> None:
    rules = [("10.0.0.0/8", ""), ("10.1.0.0/16", ""), ("10.1.2.3", ""), ("fd00::/8", "")]
    assert chosen(ip, "", *rules) == expected


def test_there_is_no_way_back_from_a_subnet() -> None:
    rules = [("10.0.0.0/8", "a"), ("10.1.0.0/16", "b")]
    assert chosen("10.2.0.1", "a", *rules) == 0
    assert chosen("10.1.0.1", "a", *rules) is None
