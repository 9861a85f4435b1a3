"""Upstreams that break HTTP/2's rules or overdo it: cut off with a code, named, answered for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshproxy.model.cluster import UpstreamHttp
from meshproxy.model.telemetry import AccessLog
from tests.support import frames
from tests.support.fakes import FakeTransport
from tests.support.frames import ACK, END, END_HEADERS, OK, PING, SETTINGS, data, frame, headers
from tests.support.models import a_cluster, outbound
from tests.support.path import DataPath

CLUSTER = "outbound|80|v1|shop"
COUNTER = "meshproxy_upstream_protocol_errors_total"
LOG = AccessLog("/log", text="%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%")
REQUEST = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
LINE = b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000  # kept in the table


def asked(http: UpstreamHttp = UpstreamHttp.HTTP2) -> tuple[DataPath, FakeTransport, FakeTransport]:
    """A client that waits, and the server that it waits for."""
    path = DataPath(
        outbound(clusters=[replace(a_cluster(CLUSTER), http=http)], access_logs=(LOG,)), "fast"
    )
    client = path.connect()
    client.receive(REQUEST)
    server = path.dialled()
    if http is UpstreamHttp.HTTP2:
        server.receive(frames.settings() + frame(SETTINGS, ACK))
    server.take()
    return path, client, server


# What is sent, the code that the connection is told, and its name.
FLOODS = {
    "PING": (frame(PING, 0, 0, bytes(8)) * 10_001, 11, "control_flood"),
    "SETTINGS": (frames.settings() * 10_001, 11, "control_flood"),
    "unknown frames": (frame(77) * 10_001, 11, "idle_frame_flood"),
    "WINDOW_UPDATE": (frames.window(0, 1) * 2001, 11, "window_flood"),
    "empty DATA": (headers(1, OK, END_HEADERS) + data(1) * 101, 11, "empty_frame_flood"),
    "CONTINUATION": (
        headers(1, OK, 0) + frame(frames.CONTINUATION, 0, 1) * 33,
        11,
        "continuation_flood",
    ),
    "an HPACK bomb": (
        frame(frames.HEADERS, END | END_HEADERS, 1, frames.block(OK) + LINE + b"\xbe" * 1000),
        11,
        "header_bomb",
    ),
    "padding": (headers(1, OK, END_HEADERS) + data(1, b"\x05abcd", frames.PADDED), 1, "padding"),
    "a window over its bound": (frames.window(0, 2**31 - 1), 3, "flow_control"),
    "a push": (frame(frames.PUSH, END_HEADERS, 1, bytes(4)), 1, "codec_error"),
}


@pytest.mark.parametrize("case", FLOODS)
def test_what_ends_the_connection(case: str) -> None:
    sent, code, name = FLOODS[case]
    path, client, server = asked()
    server.receive(sent)
    assert frames.code_of_goaway(server.take()) == code
    assert server.closed
    assert path.plain(COUNTER, CLUSTER, f"http2.{name}") == 1
    (line,) = path.lines
    assert " UPE upstream_reset_" in line
    server.lose()
    if not line.startswith("200 "):
        assert line.startswith("502 ")
        assert client.take().startswith(b"HTTP/1.1 502 ")
        client.receive(REQUEST)
        assert path.dials() == ["10.0.0.1:80"], "it is not used again"
    else:
        assert client.aborted, "an answer that had begun"


# What is answered, the code that its stream is told, and its name.
ANSWERS = {
    "capital in a name": ([*OK, (b"X-A", b"1")], 1, "header_name"),
    "line break in a value": ([*OK, (b"x-a", b"1\r\nx-b: 2")], 1, "header_value"),
    "connection": ([*OK, (b"connection", b"close")], 1, "connection_header"),
    "a status that is none": ([(b":status", b"2000")], 1, "pseudo_header"),
    "a length and no body": ([*OK, (b"content-length", b"5")], 1, "content_length"),
    "too many headers": ([*OK, *[(b"x", b"")] * 101], 1, "too_many_headers"),
    "headers over the bound": ([*OK, *[(b"x", b"")] * 3000], 11, "headers_too_large"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_ends_a_stream(case: str) -> None:
    lines, code, name = ANSWERS[case]
    path, client, server = asked()
    server.receive(headers(1, lines, END_HEADERS | (END if name == "content_length" else 0)))
    assert frames.resets(server.take()) == [(1, code)]
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert path.plain(COUNTER, CLUSTER, f"http2.{name}") == 1
    assert " UPE " in path.lines[0]
    client.receive(REQUEST)
    assert path.dials() == [], "the connection goes on"


def test_trailers_that_are_malformed() -> None:
    path, client, server = asked()
    server.receive(headers(1, OK, END_HEADERS) + headers(1, [(b"x-a", b"\x00")]))
    assert frames.resets(server.take()) == []  # the stream had ended
    assert client.aborted
    assert path.plain(COUNTER, CLUSTER, "http2.header_value") == 1


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "codec_error"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"v" * 90_000, "headers_too_large"),
    ],
)
def test_http1_is_counted_alike(sent: bytes, name: str) -> None:
    path, client, server = asked(UpstreamHttp.HTTP1)
    server.receive(sent)
    assert client.take().startswith(b"HTTP/1.1 50")
    assert path.counters.plain == {(COUNTER, (CLUSTER, f"http1.{name}")): 1}
