"""The reference HTTP/1 reader: `h11` reads heads and bodies; ours is only what is refused.

Slow and careful. It exists to hold the fast reader to: the same tests run over both, and
``--http1-codec h11`` puts it into the data path. `h11` accepts bare LF, folded lines, and
Transfer-Encoding beside Content-Length, so a block passes `check_block` before it is shown.
"""

from __future__ import annotations

from typing import Any

import h11

from meshproxy.wire.errors import TooLarge, WireError
from meshproxy.wire.framing import check_block, frame_request, frame_response
from meshproxy.wire.h1 import HeadCutter
from meshproxy.wire.heads import (
    HTTP10,
    HTTP11,
    TUNNEL,
    UNTIL_CLOSE,
    RequestHead,
    ResponseHead,
    index,
)

_VERSIONS = {b"1.1": HTTP11, b"1.0": HTTP10}


class ReferenceReader(HeadCutter):
    """See `meshproxy.wire.h1.Reader`."""

    def __init__(self, max_bytes: int, max_fields: int) -> None:
        super().__init__(max_bytes, max_fields)
        self._h11: h11.Connection | None = None
        self._length = 0

    def request(self, data: bytes = b"") -> RequestHead | None:
        self.feed(data)
        block = self.cut()
        if block is None:
            return None
        check_block(block)
        # h11 would keep state of our answers; here every message gets a connection of its own.
        conn = h11.Connection(h11.SERVER, self._max_bytes + 4096)
        event = self._next(conn, block)
        if not isinstance(event, h11.Request):
            raise WireError("not an HTTP/1 request")
        headers = list(event.headers.raw_items())
        version = _VERSIONS.get(event.http_version, 0)
        self.check(version, headers)
        head = RequestHead(event.method, b"", b"", version, headers, index(headers))
        frame_request(head, event.target)
        head.wire_bytes = len(block)
        self._start_body(conn, head.length)
        return head

    def response(
        self, method: bytes, upgrade: bytes = b"", data: bytes = b""
    ) -> ResponseHead | None:
        self.feed(data)
        block = self.cut()
        if block is None:
            return None
        check_block(block)
        conn = h11.Connection(h11.CLIENT, self._max_bytes + 4096)
        self._pretend_request(conn, method, upgrade)
        event = self._next(conn, block)
        if not isinstance(event, h11.Response | h11.InformationalResponse):
            raise WireError("not an HTTP/1 response")
        headers = list(event.headers.raw_items())
        version = _VERSIONS.get(event.http_version, 0)
        self.check(version, headers)
        head = ResponseHead(event.status_code, headers, index(headers), version, event.reason)
        frame_response(head, method, upgrade)
        head.wire_bytes = len(block)
        self._start_body(conn, head.length)
        return head

    def _pretend_request(self, conn: h11.Connection, method: bytes, upgrade: bytes) -> None:
        """What h11 must believe that it has sent, to understand the answer."""
        headers = [("Host", "h")]
        if upgrade and upgrade != b"CONNECT":
            headers += [("Connection", "upgrade"), ("Upgrade", "x")]
        conn.send(h11.Request(method=method, target="/", headers=headers))
        conn.send(h11.EndOfMessage())

    def _next(self, conn: h11.Connection, data: bytes) -> object:
        try:
            conn.receive_data(data)
            return conn.next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                raise TooLarge("headers are larger than the limit") from None
            raise WireError("not an HTTP/1 message") from None

    def _start_body(self, conn: h11.Connection, length: int) -> None:
        self._length = length
        self.trailers = []
        self.body_bytes = 0
        self.ended = length == 0
        self._h11 = None if self.ended or length == TUNNEL else conn

    def tunnel(self) -> None:
        self._length = TUNNEL
        self.ended = False
        self._h11 = None

    def body(self) -> bytes:
        data, self.buffer = self.buffer, b""
        if self.ended:
            self.buffer = data
            return b""
        if self._h11 is None:
            self.body_bytes += len(data)
            return data
        before = len(data)
        pieces: list[bytes] = []
        if data:
            event = self._next(self._h11, data)
            while isinstance(event, h11.Data):
                pieces.append(_data(event))
                event = self._following()
            if isinstance(event, h11.EndOfMessage):
                self._finish(event)
        self.body_bytes += before - len(self.buffer)
        return b"".join(pieces)

    def _following(self) -> object:
        assert self._h11 is not None
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError:
            raise WireError("a malformed body") from None

    def _finish(self, event: h11.EndOfMessage) -> None:
        assert self._h11 is not None
        self.ended = True
        self.trailers = list(event.headers.raw_items())
        self.buffer = bytes(self._h11.trailing_data[0])
        self._h11 = None

    def eof(self) -> None:
        if self._length in (UNTIL_CLOSE, TUNNEL) and not self.ended:
            self.ended = True
        elif not self.ended or self.buffer:
            raise WireError("the connection ended in the middle of a message")


def _data(event: Any) -> bytes:
    """h11 says that it gives bytes, and gives a bytearray."""
    return bytes(event.data)
