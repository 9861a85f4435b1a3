"""HTTP/1.1 connections that become HTTP/2 (RFC 7540 section 3.2), as transcripts."""

from __future__ import annotations

import base64
from dataclasses import replace

import hpack
import pytest

from meshproxy.model.settings import DEFAULTS
from meshproxy.model.telemetry import AccessLog
from tests.support import frames
from tests.support.fakes import FakeTransport
from tests.support.frames import ACK, END, GET, PREFACE, cut, data, headers, settings
from tests.support.models import inbound, outbound
from tests.support.path import DataPath

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: now\r\n\r\nok"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
LOG = AccessLog("/log", "%PROTOCOL% %RESPONSE_CODE% %REQ(:PATH)%")


@pytest.fixture(params=["fast", "h11"])
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def asking(
    *more: str,
    payload: bytes = b"\0\3\0\0\0\x64",
    method: str = "GET",
    connection: str = "Upgrade, HTTP2-Settings",
) -> bytes:
    value = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    lines = [
        f"{method} /a HTTP/1.1",
        "Host: shop",
        f"Connection: {connection}",
        "Upgrade: h2c",
        f"HTTP2-Settings: {value}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def place(codec: str) -> DataPath:
    return DataPath(outbound(access_logs=(LOG,)), codec)


def answers(sent: bytes) -> list[tuple[int, dict[bytes, bytes] | bytes]]:
    """Heads and data of streams, after the switch."""
    assert sent.startswith(SWITCHING)
    decoder = hpack.Decoder()
    found: list[tuple[int, dict[bytes, bytes] | bytes]] = []
    pieces = cut(sent.removeprefix(SWITCHING))
    assert pieces[0][0] == frames.SETTINGS, "the server's preface"
    for kind, _, stream, payload in pieces:
        if kind == frames.HEADERS:
            found.append((stream, dict(decoder.decode(payload, raw=True))))
        elif kind == frames.DATA and payload:
            found.append((stream, payload))
    return found


def test_the_first_request_is_stream_1(codec: str) -> None:
    path = place(codec)
    client = path.connect()
    client.receive(asking())
    client.receive(PREFACE + settings() + frames.frame(frames.SETTINGS, ACK))
    server = path.dialled()
    asked = server.take().lower()
    assert asked.startswith(b"get /a http/1.1\r\n")
    assert not any(word in asked for word in (b"h2c", b"http2-settings", b"connection"))
    client.receive(headers(3, [*GET[:3], (b":authority", b"shop")]))
    second = path.dialled()
    second.receive(OK)
    server.receive(OK)
    found = answers(client.take())
    assert [(stream, isinstance(what, bytes)) for stream, what in found] == [
        *((3, False), (3, True)),
        *((1, False), (1, True)),
    ]
    for _, what in found:
        assert what == b"ok" if isinstance(what, bytes) else what[b":status"] == b"200"
    assert path.lines == ["HTTP/2 200 /\n", "HTTP/2 200 /a\n"]


def test_frames_in_the_same_segment(codec: str) -> None:
    path = place(codec)
    client = path.connect()
    client.receive(asking() + PREFACE + settings())
    path.dialled().receive(OK)
    assert len(answers(client.take())) == 2


def test_inbound_as_well(codec: str) -> None:
    path = DataPath(inbound(), codec)
    client = path.connect("10.0.0.1:8080", "in")
    client.receive(asking())
    client.receive(PREFACE + settings())
    path.dialled().receive(OK)
    assert len(answers(client.take())) == 2


def test_its_settings_count_at_once(codec: str) -> None:
    """A window of three bytes: no more may come before the client opens it."""
    path = place(codec)
    client = path.connect()
    client.receive(asking(payload=b"\0\4\0\0\0\3"))
    client.receive(PREFACE + settings())
    path.dialled().receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    assert [what for _, what in answers(client.take()) if isinstance(what, bytes)] == [b"hel"]
    client.receive(frames.window(1, 10))
    assert [payload for kind, _, _, payload in cut(client.take()) if kind == frames.DATA] == [b"lo"]


def test_a_later_request_of_a_connection(codec: str) -> None:
    path = place(codec)
    client = path.connect()
    client.receive(b"GET /first HTTP/1.1\r\nHost: shop\r\n\r\n" + asking())
    server = path.dialled()
    server.take()
    server.receive(OK)
    first, _, rest = client.take().partition(b"ok")
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert rest.startswith(SWITCHING)
    client.receive(PREFACE + settings())
    assert server.take().startswith(b"GET /a ")
    assert path.limits.open == 1
    client.lose()
    assert path.limits.open == 0


def test_a_first_frame_that_is_none(codec: str) -> None:
    path = place(codec)
    client = path.connect()
    client.receive(asking())
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert client.closed or client.eof_written
    assert path.dials() == []


def test_the_first_stream_can_be_given_up(codec: str) -> None:
    path = place(codec)
    client = path.connect()
    client.receive(asking())
    client.receive(PREFACE + settings())
    server = path.dialled()
    client.receive(frames.rst(1))
    assert server.aborted


def test_a_client_that_does_not_go_on(codec: str) -> None:
    """It is not answered before it has said what HTTP/2 it speaks, nor waited for without end."""
    path = DataPath(outbound(settings=replace(DEFAULTS, header_timeout=5.0)), codec)
    client = path.connect()
    client.receive(asking())
    assert path.dials() == []
    path.loop.advance(4)
    assert not client.closed
    path.loop.advance(3)
    assert client.closed


def test_a_first_stream_that_is_given_up_at_once(codec: str) -> None:
    path = place(codec)
    client = path.connect()
    client.receive(asking())
    client.receive(PREFACE + settings() + frames.rst(1))
    client.receive(headers(3, [*GET[:3], (b":authority", b"shop")]))
    assert not client.closed


def test_data_on_the_first_stream_is_too_late(codec: str) -> None:
    path = place(codec)
    client = path.connect()
    client.receive(asking())
    client.receive(PREFACE + settings())
    server = path.dialled()
    server.take()
    client.receive(data(1, b"more", END))
    assert server.take() == b""


def in_http1(client: FakeTransport, path: DataPath, sent: bytes) -> None:
    """The request is served, and the connection stays what it is."""
    client.receive(sent)
    server = path.dialled()
    asked = server.take().lower()
    assert b"h2c" not in asked
    assert b"http2-settings" not in asked
    server.receive(OK)
    assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(asking(payload=b"\0\3\0\0\0"), id="settings that are cut short"),
        pytest.param(asking(payload=b"\0\2\0\0\0\2"), id="settings that are wrong"),
        pytest.param(asking("HTTP2-Settings: AAMAAABk"), id="settings twice"),
        pytest.param(asking(connection="Upgrade"), id="settings not named by Connection"),
        pytest.param(asking(connection="HTTP2-Settings"), id="Upgrade not named by Connection"),
        pytest.param(asking("Content-Length: 2", method="POST") + b"ab", id="a body"),
        pytest.param(
            asking("Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n", id="chunks"
        ),
        pytest.param(asking().replace(b"Upgrade: h2c", b"Upgrade: h2c, websocket"), id="a choice"),
        pytest.param(asking().replace(b"Upgrade: h2c\r\n", b""), id="no Upgrade"),
        pytest.param(asking().replace(b"HTTP2-Settings: AAMAAABk\r\n", b""), id="no settings"),
        pytest.param(
            asking(connection="close, Upgrade, HTTP2-Settings"), id="a connection that ends"
        ),
    ],
)
def test_it_is_left_aside(codec: str, sent: bytes) -> None:
    path = place(codec)
    in_http1(path.connect(), path, sent)


def test_not_while_draining(codec: str) -> None:
    path = DataPath(inbound(), codec)
    path.serving.draining_inbound = True
    in_http1(path.connect("10.0.0.1:8080", "in"), path, asking())
