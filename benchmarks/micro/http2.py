"""HTTP/2: a request and its answer through both ends of a codec, and through a whole worker.

The worker's peers are codecs of our own, so a case holds the cost of one codec pair more than the
worker takes: it stands beside, for both kinds of codec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.load.request import HEADERS, HOST, PATHS
from benchmarks.micro.exchange import Exchanges, Stuck
from benchmarks.micro.loop import Gathering, Transport
from benchmarks.micro.timing import Block, repeated
from meshproxy.model.settings import DEFAULTS

STREAMS = 64  # a block: 8 connections with 8 streams each, as h2load -c8 -m8 has
_CONNECTIONS = 8
_MOST_TURNS = 1000
_BODY = b"." * 1024
_ANSWER = [
    (b":status", b"200"),
    (b"server", b"nginx/1.22.1"),
    (b"date", b"Mon, 02 Mar 2026 10:00:00 GMT"),
    (b"content-type", b"text/plain"),
    (b"content-length", b"1024"),
]


def headers_maker() -> Callable[[int], list[tuple[bytes, bytes]]]:
    """A function from a request's number to its header lines: those of `load.request`."""
    lines = [(n.lower().encode(), v.encode()) for n, v in HEADERS if n != "Host"]

    def make(number: int) -> list[tuple[bytes, bytes]]:
        found = [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", HOST.encode()),
            (b":path", b"/api/v1/products/%d" % (number % PATHS)),
        ]
        return found + [(n, v % number if b"%" in v else v) for n, v in lines]

    return make


def _codec(name: str, client: bool) -> Any:
    from meshproxy.wire.codecs import http2_codec

    return http2_codec(name)(client, DEFAULTS)


class _Pair:
    """Two codecs that talk to each other."""

    def __init__(self, name: str) -> None:
        self.client, self.server = _codec(name, True), _codec(name, False)
        self.make = headers_maker()
        self.number = 0
        self.client.start()
        self.server.start()
        for _ in range(2):
            self.server.receive(self.client.take())
            self.client.receive(self.server.take())

    def ask(self) -> None:
        client, server = self.client, self.server
        self.number += 1
        client.send_headers(client.new_stream(), self.make(self.number), True)
        for event in server.receive(client.take()):
            answer(server, event)
        for event in client.receive(server.take()):
            take(client, event)
        client.relax()
        server.relax()


def answer(server: Any, event: Any) -> None:
    if type(event).__name__ == "HeadersCame":
        server.send_headers(event.stream_id, _ANSWER, False)
        server.send_data(event.stream_id, _BODY, True)


def take(client: Any, event: Any) -> bool:
    """Whether an answer came to its end."""
    name = type(event).__name__
    if name == "DataCame":
        client.consumed(event.stream_id, event.counted)
    return name == "StreamEnded"


class _End:
    """A transport of the worker's and the codec at its other end."""

    def __init__(self, transport: Transport, client: bool) -> None:
        self.transport = transport
        # Whatever the worker has, its peers are fast.
        self.codec = _codec("fast", client)
        self.codec.start()

    def events(self) -> list[Any]:
        data, self.transport.last = self.transport.last, b""
        return list(self.codec.receive(data)) if data else []

    def flush(self) -> None:
        self.codec.relax()
        data = self.codec.take()
        if data:
            self.transport.receive(data)


class Http2Exchanges(Exchanges):
    """A worker between HTTP/2 clients and HTTP/2 upstreams; ``codec`` is the worker's."""

    connections = _CONNECTIONS
    protocol = "http2"
    transport = Gathering

    def options(self, codec: str) -> dict[str, Any]:
        return {"http2_codec": codec}

    def __init__(self, log: str, codec: str = "fast") -> None:
        self._ends: list[_End] = []
        self._behind: list[_End] = []
        self._headers = headers_maker()
        super().__init__(log, codec)

    def run(self, count: int) -> None:
        """Carry so many requests, in blocks."""
        while count > 0:
            self._streams(min(count, STREAMS))
            count -= STREAMS
        self._loop.turn()

    def _connect(self, number: int) -> Transport:
        transport = super()._connect(number)
        self._ends.append(_End(transport, True))
        return transport

    def _streams(self, count: int) -> None:
        for _ in range(count):
            self._number += 1
            codec = self._ends[self._number % _CONNECTIONS].codec
            codec.send_headers(codec.new_stream(), self._headers(self._number), True)
        for end in self._ends:
            end.flush()
        left = count
        for _ in range(_MOST_TURNS):
            self._loop.turn()
            for transport in self.upstreams[len(self._behind) :]:
                self._behind.append(_End(transport, False))
            for end in self._behind:
                for event in end.events():
                    answer(end.codec, event)
                end.flush()
            for end in self._ends:
                left -= sum(take(end.codec, event) for event in end.events())
                end.flush()
            if not left:
                return
        raise Stuck(f"{left} streams have no answer")


def request_and_answer(codec: str) -> Block:
    return repeated(_Pair(codec).ask)


HTTP2: dict[str, Callable[[], Block]] = {
    "HTTP/2 request and answer, fast": lambda: request_and_answer("fast"),
    "HTTP/2 request and answer, h2": lambda: request_and_answer("h2"),
}
