"""What a client gets for what can't be understood: a sentence, a close, and a count."""

from __future__ import annotations

import pytest

from meshproxy.model.settings import Settings
from meshproxy.model.telemetry import AccessLog
from tests.support.models import outbound
from tests.support.path import DataPath

BROKEN = {
    "garbage": (b"\x00\x01\x02\r\n\r\n\r\n\r\n\r\n", 400),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
    ),
    "no chunked": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    "version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "too large": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 431),
    "too many": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("codec", ["fast", "h11"])
def test_broken_requests(name: str, codec: str) -> None:
    data, status = BROKEN[name]
    log = AccessLog("x", text="%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%")
    path = DataPath(outbound(access_logs=(log,)), codec)
    client = path.connect()
    client.receive(data)
    assert client.written.startswith(b"HTTP/1.1 %d " % status)
    head, _, body = client.take().partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert body.endswith(b"(DPE)")
    assert client.eof_written or client.closed
    assert path.lines[0].startswith(f"{status} DPE http1.")
    assert sum(path.counters.plain.values()) == 1


def test_what_comes_after_a_broken_request_is_thrown_away() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 400 ")
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert client.written == b""
    assert path.dials() == []
    path.loop.advance(1.1)
    assert client.aborted


def test_a_body_that_breaks_in_the_middle() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    server = path.dialled()
    client.receive(b"zz\r\n")
    assert server.aborted
    assert client.take().startswith(b"HTTP/1.1 400 ")


def test_an_answer_before_the_request_is_whole_closes_the_connection() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100000\r\n\r\nab")
    server = path.dialled()
    server.receive(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 413 ")
    assert client.eof_written
    assert server.closed
    client.receive(b"more")
    client.end()
    assert client.closed


def test_a_small_unread_body_does_not_cost_the_connection() -> None:
    """A local answer to a request whose body is at hand leaves the connection open."""
    path = DataPath(outbound(clusters=()), "fast")
    path.configure(outbound([], [], settings=Settings()))
    client = path.connect("10.9.9.9:80")
    path.configure(outbound(allow_any=False))
    client.receive(b"POST / HTTP/1.1\r\nHost: unknown\r\nContent-Length: 2\r\n\r\nab")
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert not client.closed
    assert not client.eof_written


def test_reading_stops_when_a_client_sends_far_ahead() -> None:
    path = DataPath(outbound(settings=Settings(max_pipelined_bytes=1000)))
    client = path.connect()
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n" * 30)
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n" * 10)
    assert not client.reading
    server = path.dialled()
    for _ in range(40):
        server.receive(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert client.reading
    assert client.take().count(b"HTTP/1.1 204") == 40


def test_thousands_of_pipelined_local_answers_do_not_recurse() -> None:
    path = DataPath(outbound(allow_any=False))
    client = path.connect()
    client.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)
    assert client.take().count(b"HTTP/1.1 502 ") == 3000
