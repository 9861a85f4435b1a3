"""How many requests an HTTP/2 server is sent at a time, before it has said how many it takes."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import UpstreamHttp
from tests.support import frames
from tests.support.fakes import FakeTransport
from tests.support.frames import ACK, GOAWAY, HEADERS, OK, SETTINGS, cut, frame, headers, rst
from tests.support.models import a_cluster, outbound
from tests.support.path import DataPath

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
MAX_CONCURRENT_STREAMS = 3
REFUSED = 7


@pytest.fixture(params=["fast", "h2"])
def path(request: pytest.FixtureRequest) -> DataPath:
    return DataPath(outbound(clusters=[a_cluster(http=UpstreamHttp.HTTP2)]), request.param)


def clients(path: DataPath, count: int) -> list[FakeTransport]:
    """Each has asked, and waits."""
    found = [path.connect() for _ in range(count)]
    for client in found:
        client.receive(GET)
    return found


def says(server: FakeTransport, streams: int) -> None:
    server.receive(frames.settings((MAX_CONCURRENT_STREAMS, streams)) + frame(SETTINGS, ACK))


def requests(server: FakeTransport) -> list[int]:
    """Streams of the requests that the server has been sent since the last look."""
    return [stream for kind, _, stream, _ in cut(server.take()) if kind == HEADERS]


def test_what_the_server_said_before_holds_for_its_next_connection(path: DataPath) -> None:
    first, *others = clients(path, 5)
    server = path.dialled()
    assert requests(server) == [1, 3, 5, 7, 9], "nothing is known of it"
    says(server, 2)
    for stream in (5, 7, 9):
        server.receive(rst(stream, REFUSED))
    second = path.dialled()
    assert requests(second) == [1, 3], "before it has said anything"
    third = path.dialled()
    assert requests(third) == [1]
    for each, streams in ((server, (1, 3)), (second, (1, 3)), (third, (1,))):
        says(each, 2)
        for stream in streams:
            each.receive(headers(stream, OK))
    for client in (first, *others):
        assert client.take().startswith(b"HTTP/1.1 200 ")
    assert path.dials() == []


def test_a_server_that_takes_more_than_before(path: DataPath) -> None:
    (client,) = clients(path, 1)
    old = path.dialled()
    says(old, 1)
    old.receive(headers(1, OK))
    old.lose()
    client.take()
    clients(path, 3)
    new = path.dialled()
    assert requests(new) == [1]
    says(new, 9)
    clients(path, 3)
    assert requests(new) == [3, 5, 7], "what it says now is what counts"


def dialled_in_vain(path: DataPath, said: bytes, most: int, ends: bool = False) -> None:
    """Connections, no more than ``most``, on which the server has ``said`` this with the last bytes
    of its handshake: before anybody has a stream. ``ends``: then it is gone."""
    for _ in range(most):
        if not path.dials():
            break
        factory, *_, wait = path.loop.dials.pop(0)
        protocol = factory()
        server = FakeTransport(("10.1.1.1", 80)).connect(protocol)
        server.receive(frames.settings((MAX_CONCURRENT_STREAMS, 0)) + said)
        if ends:
            server.lose()
        wait.finish(protocol)
    assert path.dials() == []


def test_a_server_that_takes_none_at_all(path: DataPath) -> None:
    """A bounded number of connections, then an answer that says so."""
    found = clients(path, 2)
    dialled_in_vain(path, frame(SETTINGS, ACK), most=4)
    for client in found:
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"the upstream takes no more streams (UR)" in answer


def test_a_server_that_leaves_as_it_comes(path: DataPath) -> None:
    found = clients(path, 2)
    dialled_in_vain(path, frame(GOAWAY, 0, 0, bytes(8)), most=11, ends=True)
    for client in found:
        assert client.take().startswith(b"HTTP/1.1 503 ")
    (state,) = path.registry
    assert state.pool.shared == [], "nothing is kept of a connection that was never used"
