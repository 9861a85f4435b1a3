"""HTTP/2 upstreams that go away: requests that they did not look at are sent to the next."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import UpstreamHttp
from meshproxy.tls.errors import TlsFailure
from tests.support import frames
from tests.support.fakes import FakeTransport
from tests.support.frames import (
    ACK,
    END_HEADERS,
    HEADERS,
    OK,
    SETTINGS,
    frame,
    headers,
    number,
    rst,
)
from tests.support.models import a_cluster, outbound
from tests.support.path import DataPath

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n"
GOAWAY = 7
REFUSED = 7


def asked(request: bytes, again: bool) -> tuple[DataPath, FakeTransport, FakeTransport, int]:
    """A client that waits for an answer on that stream of the server's connection; ``again``: the
    connection has carried a request before."""
    path = DataPath(outbound(clusters=[a_cluster(http=UpstreamHttp.HTTP2)]))
    client = path.connect()
    client.receive(GET if again else request)
    server = path.dialled()
    server.receive(frames.settings() + frame(SETTINGS, ACK))
    if again:
        server.receive(headers(1, OK))
        client.receive(request)
    client.take()
    server.take()
    return path, client, server, 3 if again else 1


def go_away(last: int) -> bytes:
    return frame(GOAWAY, 0, 0, number(last) + number(0))


@pytest.mark.parametrize("again", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("how", ["goaway", "refused"])
def test_what_was_certainly_not_looked_at(request_: bytes, again: bool, how: str) -> None:
    path, client, server, stream = asked(request_, again)
    server.receive(go_away(0) if how == "goaway" else rst(stream, REFUSED))
    if path.dials():
        server = path.dialled()
        server.receive(frames.settings() + frame(SETTINGS, ACK))
        stream = 1
    else:
        stream += 2  # the same connection takes it
    server.receive(headers(stream, OK))
    assert client.take().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("how", ["goaway", "refused"])
def test_how_often(how: str) -> None:
    """A server that goes away after some requests may do so on several connections in a row; one
    that refuses a few times has its reasons."""
    path, client, server, stream = asked(GET, False)
    sent = 1
    while not (answer := client.take()):
        assert sent < 20
        server.receive(go_away(0) if how == "goaway" else rst(stream, REFUSED))
        if path.dials():
            server = path.dialled()
            server.receive(frames.settings() + frame(SETTINGS, ACK))
            stream = -1
        stream += 2
        sent += HEADERS in [kind for kind, *_ in frames.cut(server.take())]
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert sent == (11 if how == "goaway" else 4)


@pytest.mark.parametrize(
    ("request_", "again", "resent"),
    [(GET, True, True), (GET, False, False), (POST, True, False)],
    ids=["GET, reused", "GET, fresh", "POST, reused"],
)
def test_a_connection_that_is_lost(request_: bytes, again: bool, resent: bool) -> None:
    """The end may overtake the GOAWAY: as after a kept-alive connection of HTTP/1.1."""
    path, client, server, _ = asked(request_, again)
    server.lose()
    assert bool(path.dials()) == resent
    assert client.take().startswith(b"" if resent else b"HTTP/1.1 503 ")


def test_not_when_tls_was_refused() -> None:
    """In TLS 1.3 the server tells what it thinks of our certificate behind our first request."""
    path, client, server, _ = asked(GET, True)
    server.lose(TlsFailure("alert", "it knows no such authority"))
    assert path.dials() == []
    assert client.take().startswith(b"HTTP/1.1 503 ")


def test_not_when_the_answer_has_begun() -> None:
    path, client, server, stream = asked(GET, True)
    server.receive(headers(stream, OK, END_HEADERS))
    assert client.take().startswith(b"HTTP/1.1 200 ")
    server.lose()
    assert path.dials() == []
    assert client.aborted
