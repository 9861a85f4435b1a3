"""Upgrades and CONNECT through both versions of HTTP, as transcripts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hpack
import pytest

from meshproxy.model.cluster import UpstreamHttp
from meshproxy.model.route import DirectResponse
from meshproxy.model.settings import DEFAULTS
from meshproxy.model.telemetry import AccessLog
from meshproxy.wire.upgrade import accept_of
from tests.support import frames
from tests.support.fakes import FakeTransport
from tests.support.frames import ACK, END, END_HEADERS, PREFACE, cut, data, headers, rst
from tests.support.models import a_cluster, a_host, a_route, outbound
from tests.support.path import DataPath

KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
EXTENDED = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"http"),
    (b":authority", b"shop"),
    (b":path", b"/chat"),
]
CONNECT = [(b":method", b"CONNECT"), (b":authority", b"shop")]
CONNECT_OVER_1 = b"CONNECT shop HTTP/1.1\r\nHost: shop\r\n\r\n"
TAKES_UPGRADES = (8, 1)
WINDOW = 65_535
LOG = AccessLog("/log", "%PROTOCOL% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %REQ(:METHOD)%")


@pytest.fixture(params=["fast", "h11"])
def codec(request: pytest.FixtureRequest) -> str:
    """With HTTP/1 codecs come HTTP/2's: our own, and the reference."""
    return str(request.param)


class End:
    """One end of an HTTP/2 connection with us; everything is on stream 1."""

    def __init__(self, transport: FakeTransport) -> None:
        self.transport = transport
        self._decoder = hpack.Decoder()

    def settle(self, *settings: tuple[int, int]) -> None:
        self.transport.receive(frames.settings(*settings) + frames.frame(frames.SETTINGS, ACK))

    def receive(self, *sent: bytes) -> None:
        self.transport.receive(b"".join(sent))

    def take(self) -> list[Any]:
        """What has come on streams, in order: heads, data, b"END", codes of resets."""
        found: list[Any] = []
        for kind, flags, stream, payload in cut(self.transport.take()):
            if not stream or kind == frames.WINDOW:
                continue
            if kind == frames.HEADERS:
                found.append(dict(self._decoder.decode(payload, raw=True)))
            elif kind == frames.RST:
                found.append(int.from_bytes(payload, "big"))
            elif payload:
                found.append(payload)
            if kind in (frames.HEADERS, frames.DATA) and flags & END:
                found.append(b"END")
        return found


def over(http: UpstreamHttp, codec: str = "fast") -> DataPath:
    cluster = a_cluster(http=http, idle_timeout=2.0)
    waits = replace(DEFAULTS, downstream_idle_timeout=2.0, header_timeout=2.0)
    return DataPath(outbound(clusters=[cluster], access_logs=(LOG,), settings=waits), codec)


def http2_client(path: DataPath) -> End:
    end = End(path.connect())
    end.receive(PREFACE)
    end.settle()
    end.take()
    return end


def http2_app(path: DataPath, *settings: tuple[int, int]) -> End:
    """An upstream that is dialled, and says what it takes."""
    end = End(path.dialled())
    end.settle(*settings)
    return end


def logged(path: DataPath) -> str:
    return path.lines[-1].strip()


# HTTP/2 in front of HTTP/1.1.


def to_http1(path: DataPath, *more: tuple[bytes, bytes]) -> tuple[End, FakeTransport]:
    client = http2_client(path)
    client.receive(headers(1, [*EXTENDED, *more], END_HEADERS))
    return client, path.dialled()


def test_http2_to_http1(codec: str) -> None:
    path = over(UpstreamHttp.HTTP1, codec)
    client, app = to_http1(path, (b"sec-websocket-key", KEY), (b"x-request-id", b"r"))
    first, *lines = app.take().split(b"\r\n")
    assert first == b"GET /chat HTTP/1.1"
    assert {b"host: shop", b"upgrade: websocket", b"connection: upgrade"} <= set(lines)
    assert b"sec-websocket-key: " + KEY in lines
    app.receive(AGREED + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\nContent-Length: 0\r\n\r\nhi")
    head, *body = client.take()
    assert (head[b":status"], head[b"sec-websocket-accept"]) == (b"200", ACCEPT)
    assert not {b"upgrade", b"connection", b"content-length"} & set(head)
    assert body == [b"hi"]
    client.receive(data(1, b"\x01\x02"))
    assert app.take() == b"\x01\x02"
    client.receive(data(1, b"last", END))
    assert app.take() == b"last"
    assert app.eof_written
    assert not app.closed
    app.receive(b"bye")
    assert client.take() == [b"bye"]
    app.end()
    assert client.take() == [b"END"]
    assert app.closed
    assert not client.transport.closed
    assert logged(path) == "HTTP/2 101 via_upstream GET"


def test_the_app_may_end_first(codec: str) -> None:
    path = over(UpstreamHttp.HTTP1, codec)
    client, app = to_http1(path, (b"sec-websocket-key", KEY))
    app.receive(AGREED + b"\r\nbye")
    app.end()
    head, *rest = client.take()
    assert (head[b":status"], rest) == (b"200", [b"bye", b"END"])
    app.take()
    client.receive(data(1, b"still here", END))
    assert app.take() == b"still here"
    assert app.closed
    assert client.take() == []


def test_a_client_without_a_key_gets_one_made(codec: str) -> None:
    """RFC 8441 section 5.1: over HTTP/2 there is none; servers of HTTP/1.1 insist on it."""
    path = over(UpstreamHttp.HTTP1, codec)
    client, app = to_http1(path)
    asked = app.take()
    key = asked.partition(b"sec-websocket-key: ")[2].partition(b"\r\n")[0]
    assert len(key) == 24
    app.receive(AGREED + b"Sec-WebSocket-Accept: " + accept_of(key) + b"\r\n\r\n")
    (head,) = client.take()
    assert head[b":status"] == b"200"
    assert b"sec-websocket-accept" not in head


def test_a_key_that_we_made_has_to_be_answered(codec: str) -> None:
    path = over(UpstreamHttp.HTTP1, codec)
    client, app = to_http1(path)
    app.receive(AGREED + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n")
    head, body, *_ = client.take()
    assert (head[b":status"], body[-5:]) == (b"502", b"(UPE)")
    assert app.aborted


def test_another_protocol_has_no_key(codec: str) -> None:
    path = over(UpstreamHttp.HTTP1, codec)
    client = http2_client(path)
    lines = [(name, b"foo/2" if name == b":protocol" else value) for name, value in EXTENDED]
    client.receive(headers(1, lines, END_HEADERS))
    app = path.dialled()
    asked = app.take()
    assert b"upgrade: foo/2\r\n" in asked
    assert b"sec-websocket-key" not in asked


@pytest.mark.parametrize("status", [b"403 Forbidden", b"426 Upgrade Required"])
def test_http1_refuses(codec: str, status: bytes) -> None:
    path = over(UpstreamHttp.HTTP1, codec)
    client, app = to_http1(path)
    app.receive(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nno")
    head, *rest = client.take()
    # The rest of the request is not wanted (RFC 9113 8.1).
    assert (head[b":status"], rest) == (status[:3], [b"no", b"END", 0])
    client.receive(headers(3, EXTENDED, END_HEADERS))
    assert path.dials() == []
    assert app.take().startswith(b"GET /chat"), "the connection goes on"


def test_an_app_that_takes_no_notice(codec: str) -> None:
    """It answers the GET. Over HTTP/2 a 200 would mean that there is a tunnel."""
    path = over(UpstreamHttp.HTTP1, codec)
    client, app = to_http1(path)
    app.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    head, body, *_ = client.take()
    assert head[b":status"] == b"502"
    assert b"200 and no other protocol" in body


def test_a_route_that_answers_itself_agrees_to_nothing(codec: str) -> None:
    route = a_route(action=DirectResponse(200, b"hello"))
    path = DataPath(outbound([a_host(route)]), codec)
    client = http2_client(path)
    client.receive(headers(1, EXTENDED, END_HEADERS))
    assert client.take() == [10]  # CONNECT_ERROR


def test_a_half_that_ends_with_the_request(codec: str) -> None:
    path = over(UpstreamHttp.HTTP1, codec)
    client = http2_client(path)
    client.receive(headers(1, EXTENDED, END_HEADERS | END))
    app = path.dialled()
    app.take()
    assert not app.eof_written, "there is no tunnel yet"
    app.receive(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.take()[0][b":status"] in (b"200", b"502")


def test_what_is_sent_ahead_waits(codec: str) -> None:
    path = over(UpstreamHttp.HTTP1, codec)
    client, app = to_http1(path, (b"sec-websocket-key", KEY))
    app.take()
    client.receive(data(1, b"ahead"))
    assert app.take() == b""
    app.receive(AGREED + b"\r\n")
    assert app.take() == b"ahead"


# HTTP/1.1 in front of HTTP/2.


def test_http1_to_http2(codec: str) -> None:
    path = over(UpstreamHttp.HTTP2, codec)
    client = path.connect()
    client.receive(UPGRADE)
    app = http2_app(path, TAKES_UPGRADES)
    (asked,) = app.take()
    assert {name: asked[name] for name in asked if name[:1] == b":"} == dict(EXTENDED)
    assert asked[b"sec-websocket-key"] == KEY
    assert not {b"host", b"connection", b"upgrade"} & set(asked)
    app.receive(headers(1, [(b":status", b"200")], END_HEADERS), data(1, b"hi"))
    head, _, body = client.take().partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first == b"HTTP/1.1 101 Switching Protocols"
    agreed = {b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-accept: " + ACCEPT}
    assert agreed <= set(lines)
    assert body == b"hi"
    client.receive(b"\x01\x02")
    assert app.take() == [b"\x01\x02"]
    client.end()
    assert app.take() == [b"END"]
    app.receive(data(1, b"bye", END))
    assert client.take() == b"bye"
    assert client.closed
    assert not app.transport.closed
    assert logged(path) == "HTTP/1.1 101 via_upstream GET"


def test_http2_may_end_first(codec: str) -> None:
    path = over(UpstreamHttp.HTTP2, codec)
    client = path.connect()
    client.receive(UPGRADE)
    app = http2_app(path, TAKES_UPGRADES)
    app.take()
    app.receive(headers(1, [(b":status", b"200")], END_HEADERS | END))
    assert client.take().startswith(b"HTTP/1.1 101 ")
    assert client.eof_written
    client.receive(b"still here")
    assert app.take() == [b"still here"]
    client.end()
    assert app.take() == [b"END"]
    assert client.closed


def test_http2_refuses(codec: str) -> None:
    path = over(UpstreamHttp.HTTP2, codec)
    client = path.connect()
    client.receive(UPGRADE)
    app = http2_app(path, TAKES_UPGRADES)
    app.take()
    app.receive(headers(1, [(b":status", b"403")], END_HEADERS), data(1, b"no", END))
    assert client.take().startswith(b"HTTP/1.1 403 ")
    assert app.take() == [b"END"], "what was meant for the tunnel is not sent"
    client.receive(UPGRADE)
    assert app.take()[0][b":protocol"] == b"websocket", "both connections go on"


def test_a_101_in_http2_is_an_error(codec: str) -> None:
    """RFC 9113 8.6. Passed on it would be an agreement that no tunnel follows."""
    path = over(UpstreamHttp.HTTP2, codec)
    client = path.connect()
    client.receive(UPGRADE)
    app = http2_app(path, TAKES_UPGRADES)
    app.take()
    app.receive(headers(1, [(b":status", b"101")], END_HEADERS))
    assert client.take().startswith(b"HTTP/1.1 502 ")


# Whether the upstream takes it.


def test_nothing_is_asked_before_the_upstream_has_said_what_it_takes(codec: str) -> None:
    """RFC 8441 section 3."""
    path = over(UpstreamHttp.HTTP2, codec)
    client = path.connect()
    client.receive(UPGRADE)
    app = End(path.dialled())
    assert app.take() == []
    second = path.connect()
    second.receive(UPGRADE)
    assert path.dials() == [], "it waits for the same connection"
    app.settle(TAKES_UPGRADES)
    first_asked, second_asked = app.take()
    assert first_asked[b":protocol"] == second_asked[b":protocol"] == b"websocket"
    third = path.connect()
    third.receive(UPGRADE)
    assert app.take()[0][b":protocol"] == b"websocket", "by now it is known"


@pytest.mark.parametrize("settings", [(), ((8, 0),), ((3, 100),)])
def test_an_upstream_that_does_not_take_it(codec: str, settings: tuple[Any, ...]) -> None:
    path = over(UpstreamHttp.HTTP2, codec)
    client = path.connect()
    for _ in range(2):  # when it has just been dialled, and when it is known
        client.receive(UPGRADE)
        if path.dials():
            app = http2_app(path, *settings)
        head, _, body = client.take().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"RFC 8441" in body
        assert app.take() == []
    assert logged(path) == "HTTP/1.1 502 upgrade_failed GET"


def test_http1_where_the_upstream_speaks_that_as_well(codec: str) -> None:
    """An upstream that HTTP/1.1 is upgraded for by h2UpgradePolicy alone."""
    path = over(UpstreamHttp.UPGRADED, codec)
    client = path.connect()
    client.receive(UPGRADE)
    assert http2_app(path).take() == []
    app = path.dialled()
    assert app.take().startswith(b"GET /chat HTTP/1.1\r\n")
    app.receive(AGREED + b"\r\nhi")
    assert client.take().endswith(b"\r\n\r\nhi")


def test_http2_where_the_upstream_takes_it(codec: str) -> None:
    path = over(UpstreamHttp.UPGRADED, codec)
    path.connect().receive(UPGRADE)
    assert http2_app(path, TAKES_UPGRADES).take()[0][b":protocol"] == b"websocket"


def test_an_upgrade_that_is_no_get_keeps_its_method(codec: str) -> None:
    """Extended CONNECT has no room for it."""
    post = UPGRADE.replace(b"GET", b"POST")
    path = over(UpstreamHttp.HTTP2, codec)
    client = path.connect()
    client.receive(post)
    http2_app(path, TAKES_UPGRADES)
    assert client.take().startswith(b"HTTP/1.1 502 ")
    path = over(UpstreamHttp.UPGRADED, codec)
    path.connect().receive(post)
    http2_app(path, TAKES_UPGRADES)
    assert path.dialled().take().startswith(b"POST /chat HTTP/1.1\r\n")


def test_an_upstream_that_never_says() -> None:
    path = over(UpstreamHttp.HTTP2)
    client = path.connect()
    client.receive(UPGRADE)
    app = End(path.dialled())
    path.loop.advance(9.9)
    assert client.take() == b""
    path.loop.advance(0.2)
    assert client.take().startswith(b"HTTP/1.1 503 ")
    app.settle(TAKES_UPGRADES)
    assert app.take() == [], "nobody waits any more"


def test_an_upstream_that_goes_before_it_says() -> None:
    path = over(UpstreamHttp.HTTP2)
    client = path.connect()
    client.receive(UPGRADE)
    path.dialled().lose()
    assert client.take().startswith(b"HTTP/1.1 503 ")
    path.loop.advance(60)  # nothing is left to be waited for


def test_an_upstream_that_takes_no_streams() -> None:
    path = over(UpstreamHttp.HTTP2)
    client = path.connect()
    client.receive(UPGRADE)
    http2_app(path, TAKES_UPGRADES, (3, 0))
    assert client.take().startswith(b"HTTP/1.1 503 ")
    assert path.dials() == []


def test_a_full_connection_is_not_waited_for() -> None:
    path = over(UpstreamHttp.HTTP2)
    first, second = path.connect(), path.connect()
    first.receive(UPGRADE)
    second.receive(UPGRADE)
    app = http2_app(path, TAKES_UPGRADES, (3, 1))
    assert len(app.take()) == 1
    assert len(path.dials()) == 1
    assert http2_app(path, TAKES_UPGRADES).take()[0][b":protocol"] == b"websocket"


def test_a_client_that_leaves_meanwhile(codec: str) -> None:
    path = over(UpstreamHttp.HTTP2, codec)
    client = path.connect()
    client.receive(UPGRADE)
    app = End(path.dialled())
    client.lose()
    app.settle(TAKES_UPGRADES)
    assert app.take() == []


def test_refused_dials_are_told() -> None:
    path = over(UpstreamHttp.HTTP2)
    client = path.connect()
    client.receive(UPGRADE)
    path.refused()
    assert client.take().startswith(b"HTTP/1.1 503 ")


# HTTP/2 in front of HTTP/2.


def test_http2_to_http2(codec: str) -> None:
    path = over(UpstreamHttp.AS_DOWNSTREAM, codec)
    client = http2_client(path)
    client.receive(headers(1, EXTENDED, END_HEADERS))
    app = http2_app(path, TAKES_UPGRADES)
    (asked,) = app.take()
    assert {name: asked[name] for name in asked if name[:1] == b":"} == dict(EXTENDED)
    app.receive(headers(1, [(b":status", b"204"), (b"x", b"y")], END_HEADERS))
    (head,) = client.take()
    assert (head[b":status"], head[b"x"]) == (b"200", b"y")
    client.receive(data(1, b"ping"))
    assert app.take() == [b"ping"]
    app.receive(data(1, b"pong"))
    assert client.take() == [b"pong"]
    app.receive(data(1, b"", END))
    assert client.take() == [b"END"]
    client.receive(data(1, b"more", END))
    assert app.take() == [b"more", b"END"]
    assert logged(path) == "HTTP/2 101 via_upstream GET"


# CONNECT.


def test_connect_over_http2(codec: str) -> None:
    path = over(UpstreamHttp.HTTP1, codec)
    client = http2_client(path)
    client.receive(headers(1, CONNECT, END_HEADERS))
    app = path.dialled()
    assert app.take().startswith(b"CONNECT shop HTTP/1.1\r\nhost: shop\r\n")
    app.receive(b"HTTP/1.1 200 Connected\r\n\r\nhi")
    head, *rest = client.take()
    assert (head[b":status"], rest) == (b"200", [b"hi"])
    client.receive(data(1, b"opaque"))
    assert app.take() == b"opaque"
    assert path.lines == []
    app.lose(ConnectionResetError())
    assert client.take() == [10]  # CONNECT_ERROR: RFC 9113 8.5
    assert logged(path).startswith("HTTP/2 200 ")


def test_connect_to_http2(codec: str) -> None:
    """It needs nobody's leave."""
    path = over(UpstreamHttp.HTTP2, codec)
    client = path.connect()
    client.receive(CONNECT_OVER_1)
    app = End(path.dialled())
    (asked,) = app.take()
    assert {name: asked[name] for name in asked if name[:1] == b":"} == dict(CONNECT)
    app.settle()
    app.receive(headers(1, [(b":status", b"200")], END_HEADERS))
    head, _, _ = client.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"length" not in head
    assert b"chunked" not in head
    client.receive(b"opaque")
    assert app.take() == [b"opaque"]


def test_a_refused_connect_ends_the_connection(codec: str) -> None:
    """A client that takes it for a tunnel must not have its bytes read as requests."""
    path = DataPath(outbound([a_host(a_route(action=DirectResponse(200, b"hello")))]), codec)
    client = path.connect()
    client.receive(CONNECT_OVER_1 + b"GET /hidden HTTP/1.1\r\nHost: shop\r\n\r\n")
    sent = client.take()
    assert sent.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in sent
    assert client.closed or client.eof_written


# What goes wrong, and what is too slow.


def open_tunnel(http: UpstreamHttp, codec: str, first: bool) -> tuple[DataPath, Any, Any]:
    """A tunnel from HTTP/1.1 (``first``) or HTTP/2 to either; ends as they are."""
    path = over(http, codec)
    client: Any = path.connect() if first else http2_client(path)
    client.receive(UPGRADE if first else headers(1, EXTENDED, END_HEADERS))
    if http is UpstreamHttp.HTTP1:
        app: Any = path.dialled()
        asked = app.take()
        key = asked.lower().partition(b"sec-websocket-key: ")
        at = len(key[0]) + len(key[1])
        accept = accept_of(asked[at : at + 24])
        app.receive(AGREED + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    else:
        app = http2_app(path, TAKES_UPGRADES)
        app.take()
        app.receive(headers(1, [(b":status", b"200")], END_HEADERS))
    client.take()
    return path, client, app


ALL = pytest.mark.parametrize("first", [True, False], ids=["from 1", "from 2"])
BOTH = pytest.mark.parametrize(
    "http", [UpstreamHttp.HTTP1, UpstreamHttp.HTTP2], ids=["to 1", "to 2"]
)


@ALL
@BOTH
@pytest.mark.parametrize("half", [False, True], ids=["whole", "half ended"])
def test_a_client_that_breaks_off(codec: str, http: UpstreamHttp, first: bool, half: bool) -> None:
    path, client, app = open_tunnel(http, codec, first)
    if half:
        if http is UpstreamHttp.HTTP1:
            app.end()
        else:
            app.receive(data(1, b"", END))
        client.take()
    if first:
        client.lose(ConnectionResetError())
    else:
        client.receive(rst(1))
    if http is UpstreamHttp.HTTP1:
        assert app.aborted
    else:
        assert app.take() == [8]  # CANCEL
        assert not app.transport.closed
    assert logged(path).endswith("downstream_remote_disconnect GET")


@ALL
@BOTH
def test_an_app_that_breaks_off(codec: str, http: UpstreamHttp, first: bool) -> None:
    """What it said before is not lost."""
    _, client, app = open_tunnel(http, codec, first)
    if http is UpstreamHttp.HTTP1:
        app.receive(b"but")
        app.lose(ConnectionResetError())
    else:
        app.receive(data(1, b"but"), rst(1))
    if first:
        assert client.take() == b"but"
        assert client.aborted
    else:
        assert client.take() == [b"but", 8]  # CANCEL, as RFC 8441 section 5 has it
        assert not client.transport.closed


@ALL
@BOTH
def test_an_app_that_ends_and_then_wants_no_more(
    codec: str, http: UpstreamHttp, first: bool
) -> None:
    """Envoy ends its half and resets at once: what it had said is whole."""
    path, client, app = open_tunnel(http, codec, first)
    if http is UpstreamHttp.HTTP1:
        app.receive(b"bye")
        app.end()
        app.lose(ConnectionResetError())
    else:
        app.receive(data(1, b"bye", END), rst(1, 0))
    if first:
        assert client.take() == b"bye"
        assert client.eof_written
        assert client.closed
        assert not client.aborted
    else:
        assert client.take() == [b"bye", b"END", 0]  # NO_ERROR: no more is wanted
    assert logged(path).endswith(" 101 via_upstream GET")


@ALL
@BOTH
def test_a_slow_client_stops_the_app(codec: str, http: UpstreamHttp, first: bool) -> None:
    _, client, app = open_tunnel(http, codec, first)
    if first:
        client.fill()
    piece = bytes(16_000)
    sent = 0
    for _ in range(30):
        if http is UpstreamHttp.HTTP1:
            if not app.reading:
                break
            app.receive(piece)
        else:
            app.receive(data(1, piece))
            opened = [f for f in cut(app.transport.take()) if f[0] == frames.WINDOW and f[2]]
            if not opened and sent > DEFAULTS.buffer_bytes:
                break
        sent += len(piece)
        if http is UpstreamHttp.HTTP2 and sent > DEFAULTS.buffer_bytes - len(piece):
            break
    came = b"".join(client.take()) if not first else client.take()
    if first:
        assert came.endswith(bytes(sent))  # the transport's to buffer
    else:
        assert len(came) == WINDOW
    if http is UpstreamHttp.HTTP1:
        assert not app.reading
    else:
        assert not [f for f in cut(app.transport.take()) if f[0] == frames.WINDOW and f[2]]
    if first:
        client.empty()
    else:
        client.receive(frames.window(0, 1 << 20), frames.window(1, 1 << 20))
        assert len(came) + len(b"".join(client.take())) == sent
    if http is UpstreamHttp.HTTP1:
        assert app.reading
    else:
        assert [f for f in cut(app.transport.take()) if f[0] == frames.WINDOW and f[2]]


@ALL
@BOTH
def test_a_slow_app_stops_the_client(codec: str, http: UpstreamHttp, first: bool) -> None:
    _, client, app = open_tunnel(http, codec, first)
    if http is UpstreamHttp.HTTP1:
        app.fill()
    piece = bytes(16_000)
    sent = 0
    while sent < DEFAULTS.buffer_bytes - len(piece) and (not first or client.reading):
        client.receive(piece if first else data(1, piece))
        sent += len(piece)
    if http is UpstreamHttp.HTTP1:
        assert len(app.take()) == sent
    else:
        assert len(b"".join(app.take())) == min(sent, WINDOW)
    if first:
        assert not client.reading
    else:
        opened = [f for f in cut(client.transport.take()) if f[0] == frames.WINDOW and f[2]]
        assert not opened
    if http is UpstreamHttp.HTTP1:
        app.empty()
    else:
        app.receive(frames.window(0, 1 << 20), frames.window(1, 1 << 20))
        assert len(b"".join(app.take())) == sent - min(sent, WINDOW)
    if first:
        assert client.reading
    else:
        assert [f for f in cut(client.transport.take()) if f[0] == frames.WINDOW and f[2]]


@ALL
@BOTH
def test_silence_ends_no_tunnel(codec: str, http: UpstreamHttp, first: bool) -> None:
    """Istio's sidecars have no stream_idle_timeout; ours have none for tunnels either, and their
    connections are not idle."""
    path, client, app = open_tunnel(http, codec, first)
    path.loop.advance(10)
    client.receive(b"there?" if first else data(1, b"there?"))
    assert app.take() in (b"there?", [b"there?"])
