"""PING keepalive of HTTP/2 connections on either side, by a fake clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshproxy.model.cluster import UpstreamHttp
from meshproxy.model.settings import DEFAULTS
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.telemetry import AccessLog
from tests.support import frames
from tests.support.fakes import FakeTransport
from tests.support.frames import ACK, END_HEADERS, OK, PING, PREFACE, SETTINGS, cut, frame, headers
from tests.support.models import a_cluster, outbound
from tests.support.path import DataPath

INTERVAL, TIMEOUT = 10.0, 4.0
JUST = 0.2  # more than the coarse timers are late
LINES = [*frames.GET[:3], (b":authority", b"shop")]
CLIENTS = "meshproxy_downstream_http2_ping_timeouts_total"
SERVERS = "meshproxy_upstream_http2_ping_timeouts_total"
LOG = AccessLog(
    "/log",
    text="%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% "
    "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
)
CLUSTER = "outbound|80|v1|shop"
REQUEST = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
UPLOAD = b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nab"
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


def snapshot(interval: float = INTERVAL) -> Snapshot:
    """With an upstream that speaks HTTP/2, at two addresses that take turns."""
    return outbound(
        clusters=[a_cluster(CLUSTER, "10.0.0.1:80", "10.0.0.2:80", http=UpstreamHttp.HTTP2)],
        access_logs=(LOG,),
        settings=replace(DEFAULTS, h2_ping_interval=interval, h2_ping_timeout=TIMEOUT),
    )


@pytest.fixture(params=["fast", "h11"])
def codec(request: pytest.FixtureRequest) -> str:
    """With HTTP/1 codecs come HTTP/2's: our own, and the reference."""
    return str(request.param)


def downstream(path: DataPath) -> FakeTransport:
    client = path.connect()
    client.receive(PREFACE + frames.settings() + frame(SETTINGS, ACK))
    client.take()
    return client


def upstream(path: DataPath, request: bytes = REQUEST) -> tuple[FakeTransport, FakeTransport]:
    """A client that waits for the answer of a server, and the server."""
    client = path.connect()
    client.receive(request)
    server = path.dialled()
    server.receive(frames.settings() + frame(SETTINGS, ACK))
    server.take()
    return client, server


def pings(sent: bytes) -> list[int]:
    """The flags of each."""
    return [flags for kind, flags, *_ in cut(sent) if kind == PING]


def test_nothing_is_asked_unless_it_is_set(codec: str) -> None:
    path = DataPath(snapshot(0.0), codec)
    client = downstream(path)
    _, server = upstream(path)
    path.loop.advance(60)
    assert pings(client.take()) == pings(server.take()) == []


@pytest.mark.parametrize("side", ["downstream", "upstream"])
def test_a_peer_that_answers_is_asked_again_and_again(codec: str, side: str) -> None:
    path = DataPath(snapshot(), codec)
    peer = downstream(path) if side == "downstream" else upstream(path)[1]
    asked = path.loop.now
    for _ in range(5):
        path.loop.advance(asked + INTERVAL - JUST - path.loop.now)
        assert pings(peer.take()) == []
        path.loop.advance(2 * JUST)
        assert pings(peer.take()) == [0]
        asked = path.loop.now - JUST
        path.loop.advance(TIMEOUT - 2 * JUST)
        peer.receive(frame(PING, ACK, 0, bytes(8)))
    assert not peer.aborted
    assert not path.counters.plain


def test_anything_is_an_answer(codec: str) -> None:
    path = DataPath(snapshot(), codec)
    client = downstream(path)
    path.loop.advance(INTERVAL + JUST)
    client.receive(frames.window(0, 1))
    path.loop.advance(TIMEOUT + JUST)
    assert not client.aborted


def test_a_client_that_does_not_answer(codec: str) -> None:
    path = DataPath(snapshot(), codec)
    client = downstream(path)
    client.receive(headers(1, LINES))
    server = path.dialled()
    server.receive(frames.settings() + frame(SETTINGS, ACK))
    server.take()
    path.loop.advance(INTERVAL + JUST)
    assert pings(client.take()) == [0]
    server.receive(frames.window(0, 1))  # the other side is well
    path.loop.advance(TIMEOUT + JUST)
    assert client.aborted
    assert path.plain(CLIENTS, "out") == 1
    # What was asked for it is not wanted any more.
    assert frames.resets(server.take()) == [(1, 8)]
    client.lose()
    path.loop.advance(60)
    assert path.plain(CLIENTS, "out") == 1


def test_its_requests_are_logged_with_the_reason(codec: str) -> None:
    path = DataPath(snapshot(), codec)
    client = downstream(path)
    client.receive(headers(1, LINES))
    path.loop.advance(INTERVAL + TIMEOUT + 2 * JUST)
    assert path.lines == ["0 DC downstream_local_disconnect(http2_ping_timeout) -\n"]


def test_a_server_that_does_not_answer(codec: str) -> None:
    """The first request of its connection: nobody can tell what has become of it."""
    path = DataPath(snapshot(), codec)
    client, server = upstream(path)
    path.loop.advance(INTERVAL + JUST)
    assert pings(server.take()) == [0]
    assert not client.take()
    path.loop.advance(TIMEOUT + JUST)
    assert server.aborted
    answer = client.take()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(
        b"reset reason: connection termination: nothing came within 4 s of a PING (UC)"
    )
    details = "upstream_reset_before_response_started{http2_ping_timeout}"
    assert path.lines == [f"503 UC {details} nothing_came_within_4_s_of_a_PING\n"]
    assert path.plain(SERVERS, CLUSTER) == 1
    server.lose()
    client.receive(REQUEST)
    assert path.dials() == ["10.0.0.2:80"], "it is not used again"


def reused(path: DataPath, request: bytes) -> tuple[FakeTransport, FakeTransport]:
    """The same on a connection that has carried a request before."""
    client, server = upstream(path)
    server.receive(headers(1, [(b":status", b"204")]))
    assert client.take().startswith(b"HTTP/1.1 204")
    # The other address has its turn, and then this one again.
    client.receive(REQUEST)
    other = path.dialled()
    other.receive(frames.settings() + frame(SETTINGS, ACK) + headers(1, [(b":status", b"204")]))
    assert client.take().startswith(b"HTTP/1.1 204")
    client.receive(request)
    assert [kind for kind, *_ in cut(server.take())][:1] == [frames.HEADERS]
    other.take()
    path.loop.advance(INTERVAL + JUST)
    assert pings(server.take()) == [0]
    other.receive(frames.window(0, 1))  # it is well
    path.loop.advance(TIMEOUT + JUST)
    assert server.aborted
    return client, other


def test_its_requests_go_elsewhere_where_they_may(codec: str) -> None:
    path = DataPath(snapshot(), codec)
    client, other = reused(path, REQUEST)
    other.receive(headers(3, [(b":status", b"204")]))
    assert client.take().startswith(b"HTTP/1.1 204")
    assert path.plain("meshproxy_request_resends_total") == 1


def test_and_nowhere_else_where_they_may_not(codec: str) -> None:
    path = DataPath(snapshot(), codec)
    client, _ = reused(path, UPLOAD)
    assert client.take().startswith(b"HTTP/1.1 503")
    assert path.plain("meshproxy_request_resends_total") == 0


def test_an_answer_that_has_begun_is_cut_off(codec: str) -> None:
    path = DataPath(snapshot(), codec)
    client, server = upstream(path)
    server.receive(headers(1, OK, END_HEADERS) + frames.data(1, b"abc"))
    assert client.take()
    path.loop.advance(INTERVAL + TIMEOUT + 2 * JUST)
    assert client.aborted
    (line,) = path.lines
    assert line.startswith("200 UC upstream_reset_after_response_started{http2_ping_timeout} ")


def test_a_connection_that_ends_by_itself_is_not_counted(codec: str) -> None:
    path = DataPath(snapshot(), codec)
    client = downstream(path)
    path.loop.advance(INTERVAL + JUST)
    client.lose()
    path.loop.advance(60)
    assert path.plain(CLIENTS, "out") == 0


def test_one_that_is_being_closed_for_its_errors_is_not_counted() -> None:
    path = DataPath(snapshot(), "fast")
    client = downstream(path)
    client.receive(frame(PING, 0, 1, bytes(8)))
    path.loop.advance(INTERVAL + TIMEOUT + 2 * JUST)
    assert path.plain(CLIENTS, "out") == 0
