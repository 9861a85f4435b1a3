"""Endpoints by name, with what DNS says of them."""

from __future__ import annotations

from meshproxy.base.addr import ServerAddr
from meshproxy.cluster.names import Answer, expand, fault_of, is_pending, with_addresses
from meshproxy.model.cluster import Cluster, ClusterKind, Endpoint

DB = Endpoint(ServerAddr("", 5432), 3, name="db.example")
FIXED = Endpoint(ServerAddr("10.0.0.9", 5432))
KNOWN = {"db.example": Answer(("10.0.0.2", "10.0.0.1"))}


def shown(*endpoints: Endpoint, logical: bool = False) -> list[tuple[str, str, int]]:
    found = expand(endpoints, KNOWN, logical)
    return [(str(each.address), each.name, each.weight) for each in found]


def test_all_addresses_of_a_name_have_its_weight_whatever_their_order() -> None:
    assert shown(FIXED, DB) == [
        ("10.0.0.9:5432", "", 1),
        ("10.0.0.1:5432", "", 3),
        ("10.0.0.2:5432", "", 3),
    ]


def test_a_logical_endpoint_is_at_the_first_and_keeps_its_name() -> None:
    assert shown(DB, logical=True) == [("10.0.0.2:5432", "db.example", 3)]


def test_an_address_counts_once() -> None:
    twin = Endpoint(ServerAddr("10.0.0.1", 5432), 9)
    assert shown(twin, DB) == [("10.0.0.1:5432", "", 9), ("10.0.0.2:5432", "", 3)]


def test_what_is_not_known_is_left_out() -> None:
    other = Endpoint(ServerAddr("", 80), name="other.example")
    assert shown(other) == []
    assert is_pending(["db.example", "other.example"], KNOWN)
    assert not is_pending(["db.example"], KNOWN)


def test_what_people_are_shown() -> None:
    unknown = Endpoint(ServerAddr("", 80), name="other.example")
    for kind, ips in (
        (ClusterKind.STRICT_DNS, ["10.0.0.1", "10.0.0.2", ""]),
        (ClusterKind.LOGICAL_DNS, ["10.0.0.2", ""]),
    ):
        shown_ = with_addresses(Cluster("c", kind, (DB, unknown)), KNOWN)
        assert [each.address.ip for each in shown_.endpoints] == ips
        assert shown_.names == ("db.example",) * (len(ips) - 1) + ("other.example",)


def test_why_there_is_nothing() -> None:
    answers = {"a": Answer((), "no such name"), "b": Answer((), "gone")}
    assert fault_of(["a", "b"], answers) == "no address is known: a: no such name; b: gone"
