"""Cross-origin requests on their way through: what is answered here and what is told."""

from __future__ import annotations

from meshproxy.model.route import Cors, Forward, HeaderOps, MatchKind, StringMatch, WeightedCluster
from tests.support.models import a_host, a_route, outbound
from tests.support.path import DataPath

ORIGIN = b"Origin: https://a.example\r\n"
POLICY = Cors(
    (StringMatch(MatchKind.EXACT, "https://a.example"),), "PUT", expose="x-b", max_age="60"
)
ARM = WeightedCluster("outbound|80|v1|shop")
DEAD = WeightedCluster("outbound|80|v9|shop")


def path_with(*arms: WeightedCluster, **changes: object) -> DataPath:
    route = a_route(action=Forward(arms or (ARM,), cors=POLICY), **changes)
    return DataPath(outbound([a_host(route)]))


def asked(method: str, *fields: bytes) -> bytes:
    return method.encode() + b" / HTTP/1.1\r\nHost: shop\r\n" + b"".join(fields) + b"\r\n"


def test_a_preflight_is_answered_here() -> None:
    path = path_with(response_headers=HeaderOps(set=(("x-more", "1"),)))
    client = path.connect()
    client.receive(asked("OPTIONS", ORIGIN, b"Access-Control-Request-Method: PUT\r\n"))
    lines = client.take().split(b"\r\n")
    assert path.dials() == []
    assert lines[0].startswith(b"HTTP/1.1 200")
    assert b"access-control-allow-origin: https://a.example" in lines
    assert b"access-control-allow-methods: PUT" in lines
    assert b"access-control-max-age: 60" in lines
    assert b"content-length: 0" in lines
    assert b"x-more: 1" not in lines  # the route's edits are of what it forwards (Envoy)


def test_an_answer_says_who_may_read_it_after_the_routes_own_edits() -> None:
    edits = HeaderOps(set=(("Access-Control-Allow-Origin", "route"), ("x-more", "1")))
    path = path_with(response_headers=edits)
    client = path.connect()
    client.receive(asked("GET", ORIGIN))
    path.dialled().receive(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
    )
    lines = client.take().split(b"\r\n")
    allowed = [line for line in lines if line.lower().startswith(b"access-control-allow-origin")]
    assert allowed == [b"access-control-allow-origin: https://a.example"]
    assert b"access-control-expose-headers: x-b" in lines
    assert b"x-more: 1" in lines


def test_our_own_errors_say_it_too() -> None:
    client = path_with(DEAD).connect()
    client.receive(asked("GET", ORIGIN))
    lines = client.take().split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 503")
    assert b"access-control-allow-origin: https://a.example" in lines


def test_arms_of_a_split_say_it_too() -> None:
    path = path_with(ARM, ARM)
    client = path.connect()
    client.receive(asked("GET", ORIGIN))
    path.dialled().receive(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert b"access-control-allow-origin: https://a.example" in client.take()


def test_other_requests_are_as_if_there_were_no_policy() -> None:
    path = path_with(DEAD)
    client = path.connect()
    client.receive(asked("GET"))
    assert b"access-control" not in client.take()
    client.receive(asked("GET", b"Origin: https://b.example\r\n"))
    assert b"access-control" not in client.take()
