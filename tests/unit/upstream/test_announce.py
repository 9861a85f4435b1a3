"""Connections that begin by saying whose they are: what is said, and who may use them again."""

from __future__ import annotations

import pytest

from meshproxy.base.addr import Address
from meshproxy.model.cluster import Balance, UpstreamHttp
from meshproxy.model.listener import Application
from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.wire.proxy_protocol import Ends, ProxyHeaderReader
from meshproxy.wire.sniff import PREFACE
from tests.support.fakes import Draws, FakeTransport
from tests.support.models import a_cluster, outbound
from tests.support.path import DataPath

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
TO_SHOP = TcpRoute((WeightedCluster("outbound|80|v1|shop"),))


def place(version: int = 2, *addresses: str, **cluster: object) -> DataPath:
    made = a_cluster("outbound|80|v1|shop", *addresses, proxy_protocol=version, **cluster)
    return DataPath(outbound(clusters=[made]), draws=Draws(0.1, 0.9))


def told(server: FakeTransport) -> tuple[Ends | None, bytes]:
    """What it said first, and what came then."""
    reader = ProxyHeaderReader()
    assert reader.feed(server.take())
    return reader.ends, reader.rest


@pytest.mark.parametrize("version", [1, 2])
def test_the_first_bytes_name_the_client_and_where_it_was_going(version: int) -> None:
    path = place(version)
    client = path.connect("10.1.1.1:80", client="10.0.0.9")
    client.receive(GET)
    server = path.dialled()
    ends, rest = told(server)
    assert ends == Ends(Address("10.0.0.9", 4242), Address("10.1.1.1", 80))
    assert rest.startswith(b"GET / HTTP/1.1\r\n")
    server.receive(NO_CONTENT)
    assert client.take().startswith(b"HTTP/1.1 204")
    client.receive(GET)
    assert server.take().startswith(b"GET / "), "the same client's next request, on the same one"


def test_the_form_of_version_1() -> None:
    path = place(1)
    path.connect().receive(GET)
    assert path.dialled().take().startswith(b"PROXY TCP4 10.0.0.9 10.1.1.1 4242 80\r\nGET / ")


@pytest.mark.parametrize("other", [("10.0.0.8", "10.1.1.1:80"), ("10.0.0.9", "10.1.1.2:80")])
def test_another_clients_request_gets_a_connection_of_its_own(other: tuple[str, str]) -> None:
    path = place()
    path.connect("10.1.1.1:80", client="10.0.0.9").receive(GET)
    path.dialled().receive(NO_CONTENT)
    client, to = other
    path.connect(to, client=client).receive(GET)
    ends, _ = told(path.dialled())
    assert ends is not None
    assert (ends.source.ip, str(ends.destination)) == other


def test_what_was_opened_for_a_client_goes_with_it() -> None:
    path = place()
    client = path.connect()
    client.receive(GET)
    server = path.dialled()
    server.receive(NO_CONTENT)
    assert not server.closed
    client.lose()
    assert server.closed
    server.lose()
    path.loop.advance(1)
    assert [state.told for state in path.registry] == [None], "only what the plan names is left"


def test_http2_begins_after_it() -> None:
    path = place(http=UpstreamHttp.HTTP2)
    first, second = path.connect(client="10.0.0.9"), path.connect(client="10.0.0.8")
    first.receive(GET)
    second.receive(GET)
    ends, rest = told(path.dialled())
    assert ends is not None
    assert ends.source.ip == "10.0.0.9"
    assert rest.startswith(PREFACE)
    ends, rest = told(path.dialled())
    assert ends is not None
    assert ends.source.ip == "10.0.0.8", "not a stream of the other's connection"


def test_opaque_connections() -> None:
    cluster = a_cluster(proxy_protocol=1)
    path = DataPath(
        outbound(clusters=[cluster], application=Application.TCP, tcp=TO_SHOP, route_config="")
    )
    client = path.connect()
    client.receive(b"\x00hello")
    server = path.dialled()
    assert server.take() == b"PROXY TCP4 10.0.0.9 10.1.1.1 4242 80\r\n\x00hello"
    server.receive(b"answer")
    assert client.take() == b"answer"


def test_the_least_busy_endpoint_is_still_known() -> None:
    """What is in flight for single clients counts for the endpoint, and once in `/clusters`."""
    path = place(2, "10.0.0.1:80", "10.0.0.2:80", balance=Balance.LEAST_REQUEST)
    clients = [path.connect(client=f"10.0.0.{at}") for at in range(20, 30)]
    for client in clients:
        client.receive(GET)
    found = {state.address.ip: state.active for state in path.registry if state.told is None}
    assert sorted(found) == ["10.0.0.1", "10.0.0.2"]
    assert sum(found.values()) == 10
    assert abs(found["10.0.0.1"] - found["10.0.0.2"]) <= 2
    assert sum(counts[3] for counts in path.registry.counts().values()) == 10
    for _ in clients:
        path.dialled().receive(NO_CONTENT)
    assert all(state.active == 0 for state in path.registry)
    assert sum(counts[7] for counts in path.registry.counts().values()) == 10


def test_a_dial_that_fails_is_answered() -> None:
    path = place()
    client = path.connect()
    client.receive(GET)
    path.refused()
    assert client.take().startswith(b"HTTP/1.1 503")
    assert all(state.active == 0 for state in path.registry)
