"""A small HTTP server for the sidecar's own ports, on the project's HTTP/1 codec.

One request at a time on a connection; handlers are coroutines. Requests with a body are refused:
nothing here takes one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import parse_qsl

from meshproxy.aio.spawn import spawn
from meshproxy.wire import h1_write
from meshproxy.wire.errors import WireError
from meshproxy.wire.h1_fast import FastReader
from meshproxy.wire.heads import RequestHead

_log = logging.getLogger(__name__)

_MAX_HEAD = 16 * 1024
_MAX_FIELDS = 100
_IDLE = 60.0  # seconds a connection may wait for its next request
_MOST_CONNECTIONS = 64


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]


class Answer(NamedTuple):
    body: str | bytes = ""
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"


Handler = Callable[[Request], Awaitable[Answer]]


class Routes:
    """Paths to handlers; some only by POST, as they change something (Envoy answers 405)."""

    def __init__(self) -> None:
        self._handlers: dict[str, tuple[Handler, bool]] = {}

    def add(self, path: str, handler: Handler, post: bool = False) -> None:
        self._handlers[path] = (handler, post)

    @property
    def paths(self) -> list[tuple[str, bool]]:
        return [(path, post) for path, (_, post) in sorted(self._handlers.items())]

    async def answer(self, request: Request) -> Answer:
        found = self._handlers.get(request.path)
        if found is None:
            return Answer(f"there is no {request.path} here; / lists what there is\n", 404)
        handler, post = found
        if post and request.method != "POST":
            return Answer(f"{request.path} changes something: use POST\n", 405)
        if not post and request.method not in ("GET", "HEAD"):
            return Answer(f"{request.path} is only read: use GET\n", 405)
        return await handler(request)


class AdminConnection(asyncio.Protocol):
    """One client of one of the sidecar's own ports."""

    def __init__(self, server: AdminServer) -> None:
        self._server = server
        self._reader = FastReader(_MAX_HEAD, _MAX_FIELDS)
        self._transport: asyncio.Transport
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._server.connections.add(self)
        if len(self._server.connections) > _MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if not self._busy:
            self._next()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._server.loop.call_later(_IDLE, self._transport.abort)

    def _next(self) -> None:
        try:
            head = self._reader.request()
            if head is not None and head.length:
                raise WireError("requests with a body are not taken here", 413)
        except WireError as error:
            self._write(Answer(error.reason + "\n", error.status), True, False)
            return
        if head is not None:
            self._busy = True
            spawn(self._server.loop, self._serve(head), "admin request")

    async def _serve(self, head: RequestHead) -> None:
        path, _, query = head.path.decode("latin-1").partition("?")
        request = Request(head.method.decode(), path, dict(parse_qsl(query, True)))
        try:
            answer = await self._server.routes.answer(request)
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            answer = Answer("internal error; the log says more\n", 500)
        self._write(answer, head.close, head.method == b"HEAD")
        self._busy = False
        if not head.close and not self._transport.is_closing():
            self._wait()
            if self._reader.buffer:
                self._next()

    def _write(self, answer: Answer, close: bool, head_only: bool) -> None:
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-cache, max-age=0"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if close:
            headers.append((b"connection", b"close"))
        head = h1_write.response_head(answer.status, b"", headers)
        self._transport.write(head if head_only else head + body)
        if close:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class AdminServer:
    """Some routes on some sockets."""

    def __init__(self, loop: asyncio.AbstractEventLoop, routes: Routes) -> None:
        self.loop = loop
        self.routes = routes
        self.connections: set[AdminConnection] = set()
        self._servers: list[asyncio.AbstractServer] = []

    async def start(self, sockets: list[socket.socket]) -> None:
        for sock in sockets:
            self._servers.append(
                await self.loop.create_server(lambda: AdminConnection(self), sock=sock)
            )

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.abort()
