"""Requests to upstreams that are known by name: before the first answer of DNS, and after."""

from __future__ import annotations

import pytest

from meshproxy.base.addr import Address, ServerAddr
from meshproxy.cluster.names import Answer
from meshproxy.model.cluster import Balance, Cluster, ClusterKind, Endpoint
from meshproxy.model.listener import Application
from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.model.snapshot import Snapshot
from tests.support.fakes import FakeTransport
from tests.support.models import a_cluster, outbound, passthrough
from tests.support.path import DataPath

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NAME = "db.example"


def named(*names: str, kind: ClusterKind = ClusterKind.STRICT_DNS, **changes: object) -> Cluster:
    endpoints = tuple(Endpoint(ServerAddr("", 80), name=name) for name in names or (NAME,))
    return a_cluster(
        kind=kind, endpoints=endpoints, balance=Balance.ROUND_ROBIN, connect_timeout=2.0, **changes
    )


def http(*clusters: Cluster) -> Snapshot:
    return outbound(clusters=clusters or (named(),))


def tcp() -> Snapshot:
    route = TcpRoute((WeightedCluster("outbound|80|v1|shop"),))
    facts = {"application": Application.TCP, "route_config": "", "tcp": route}
    return outbound(clusters=(named(),), **facts)  # type: ignore[arg-type]


def know(path: DataPath, *ips: str, name: str = NAME, fault: str = "") -> None:
    path.builder.names.take({name: Answer(ips, fault)})


def asked(path: DataPath) -> FakeTransport:
    client = path.connect()
    client.receive(GET)
    return client


def test_a_request_waits_for_the_first_answer() -> None:
    path = DataPath(http())
    client = asked(path)
    assert path.dials() == []
    know(path, "10.0.0.1")
    path.dialled().receive(OK)
    assert client.written.endswith(b"ok")


def test_all_that_wait_go_on_together() -> None:
    path = DataPath(http())
    clients = [asked(path) for _ in range(3)]
    know(path, "10.0.0.1", "10.0.0.2")
    assert sorted(set(path.dials())) == ["10.0.0.1:80", "10.0.0.2:80"]
    for _ in range(3):
        path.dialled().receive(OK)
    assert all(client.written.endswith(b"ok") for client in clients)


def test_no_longer_than_connecting_may_take() -> None:
    path = DataPath(http())
    client = asked(path)
    path.loop.advance(1.9)
    assert not client.written
    path.loop.advance(0.2)
    assert client.written.startswith(b"HTTP/1.1 503")
    assert b"no answer for db.example within 2 s (DF)" in client.written
    know(path, "10.0.0.1")
    assert path.dials() == []


def test_a_name_that_can_not_be_resolved_is_said_at_once() -> None:
    path = DataPath(http())
    client = asked(path)
    know(path, fault="no such name")
    assert b"db.example: no such name (DF)" in client.written
    assert b"db.example: no such name (DF)" in asked(path).written


def test_a_client_that_leaves_meanwhile_is_not_served() -> None:
    path = DataPath(http())
    client = asked(path)
    client.lose()
    know(path, "10.0.0.1")
    assert path.dials() == []
    assert all(state.active == 0 for state in path.registry)


def test_one_name_that_is_known_is_enough() -> None:
    path = DataPath(http(named(NAME, "other.example")))
    know(path, "10.0.0.1")
    asked(path)
    assert path.dials() == ["10.0.0.1:80"]


def test_one_of_two_names_failing_leaves_hope() -> None:
    path = DataPath(http(named(NAME, "other.example")))
    client = asked(path)
    know(path, fault="no such name")
    assert not client.written
    know(path, "10.0.0.1", name="other.example")
    assert path.dials() == ["10.0.0.1:80"]


def test_a_changed_answer_takes_effect_with_the_next_request() -> None:
    path = DataPath(http())
    know(path, "10.0.0.1")
    client = asked(path)
    server = path.dialled()
    know(path, "10.0.0.2")
    server.receive(OK)  # what was on its way is finished where it was
    assert client.written.endswith(b"ok")
    asked(path)
    assert path.dials() == ["10.0.0.2:80"]
    path.dialled().receive(OK)
    path.loop.advance(1.0)
    assert server.closed
    server.lose()
    path.loop.advance(1.0)
    assert [str(state.address) for state in path.registry] == ["10.0.0.2:80"]


def test_an_address_that_stays_keeps_its_connections() -> None:
    path = DataPath(http())
    know(path, "10.0.0.1")
    asked(path)
    server = path.dialled()
    server.receive(OK)
    server.take()
    know(path, "10.0.0.1", "10.0.0.2")
    know(path, "10.0.0.1", fault="SERVFAIL")
    path.loop.advance(1.0)
    asked(path)
    assert path.dials() == []
    assert server.take()


def test_a_logical_endpoint_moves_and_keeps_its_connections() -> None:
    path = DataPath(http(named(kind=ClusterKind.LOGICAL_DNS)))
    know(path, "10.0.0.2", "10.0.0.1")
    asked(path)
    server = path.dialled()
    know(path, "10.0.0.1", "10.0.0.2")
    asked(path)
    assert path.dials() == ["10.0.0.1:80"]
    server.receive(OK)
    server.take()
    path.loop.advance(1.0)
    asked(path)
    assert path.dials() == ["10.0.0.1:80"]
    assert server.take()


def test_a_new_plan_begins_with_what_is_known() -> None:
    path = DataPath(http())
    know(path, "10.0.0.1")
    path.configure(http(named(idle_timeout=9.0)))
    asked(path)
    assert path.dials() == ["10.0.0.1:80"]
    assert [state.used_by for state in path.registry] == [1]


def test_a_request_that_waits_outlives_its_plan() -> None:
    path = DataPath(http())
    client = asked(path)
    path.configure(http(named(idle_timeout=9.0)))
    know(path, "10.0.0.1")
    path.dialled().receive(OK)
    assert client.written.endswith(b"ok")
    assert [state.used_by for state in path.registry] == [1]


def test_a_name_that_is_forgotten_is_asked_for_again() -> None:
    path = DataPath(http())
    know(path, "10.0.0.1")
    path.builder.names.take({NAME: None})
    client = asked(path)
    assert not client.written
    know(path, "10.0.0.3")
    assert path.dials() == ["10.0.0.3:80"]


def test_opaque_connections_wait_too() -> None:
    path = DataPath(tcp())
    client = path.connect()
    client.receive(b"hello")
    assert path.dials() == []
    know(path, "10.0.0.1")
    assert path.dials() == ["10.0.0.1:80"]
    server = path.dialled()
    assert server.take() == b"hello"


@pytest.mark.parametrize("late", [True, False])
def test_opaque_connections_that_wait_in_vain_are_reset(late: bool) -> None:
    path = DataPath(tcp())
    client = path.connect()
    if late:
        path.loop.advance(2.1)
    else:
        know(path, fault="no such name")
    assert client.closed


def test_a_plain_port_can_not_tell_where_a_connection_was_going() -> None:
    """Else it would be sent to ourselves, again and again."""
    path = DataPath(outbound(clusters=(passthrough("outbound|80|v1|shop"),)))
    path.upstreams.plain = frozenset([Address("10.1.1.1", 80)])
    client = asked(path)
    assert client.written.startswith(b"HTTP/1.1 503")
    assert b"a plain port can't tell (UH)" in client.written
