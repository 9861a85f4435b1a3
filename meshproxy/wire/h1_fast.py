"""The fast HTTP/1 reader: `httptools` (llhttp) reads heads, bodies are cut by their framing.

Measured: a head of 12 headers takes 1.1 µs in the parser and 3 µs in all; in the reference 50 µs.
The parser is only ever shown whole heads, so that it can't have a view of its own on where a body
ends; bodies of known length pass as the very bytes objects that were read.
"""

from __future__ import annotations

from typing import Final

import httptools

from meshproxy.wire.chunked import ChunkedReader
from meshproxy.wire.errors import WireError
from meshproxy.wire.framing import TOKEN, frame_request, frame_response
from meshproxy.wire.h1 import HeadCutter
from meshproxy.wire.heads import (
    CHUNKED,
    HTTP10,
    HTTP11,
    TUNNEL,
    UNTIL_CLOSE,
    Headers,
    RequestHead,
    ResponseHead,
    index,
)

_NONE: Final[Headers] = []
_BLANK: Final = 32


def _version(text: bytes) -> int:
    """What a text begins with; 0 for what is not spoken here. (Asking the parser costs 0.4 µs.)"""
    if text.startswith((b"HTTP/1.1\r\n", b"HTTP/1.1 ")):
        return HTTP11
    return HTTP10 if text.startswith((b"HTTP/1.0\r\n", b"HTTP/1.0 ")) else 0


class FastReader(HeadCutter):
    """See `meshproxy.wire.h1.Reader`."""

    def __init__(self, max_bytes: int, max_fields: int) -> None:
        super().__init__(max_bytes, max_fields)
        self._headers: Headers = []
        self._target = b""
        self._reason = b""
        self._complete = False
        self._parser: httptools.HttpRequestParser | None = None
        self._left = 0
        self._chunks: ChunkedReader | None = None

    # Called by the parser.

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        # RFC 9112 5.1: blanks after a value are not part of it; the parser leaves them.
        if value and value[-1] <= _BLANK:
            value = value.rstrip(b" \t")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._complete = True

    # Called by the connection.

    def request(self, data: bytes = b"") -> RequestHead | None:
        if data:
            self.buffer = self.buffer + data if self.buffer else data
        block = self.cut()
        if block is None:
            return None
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        headers: Headers = []
        self._headers = headers
        self._target = b""
        self._complete = False
        try:
            parser.feed_data(block)
            method = parser.get_method()
        except httptools.HttpParserInvalidMethodError:
            method = self._parse_foreign_method(block)
        except httptools.HttpParserUpgrade:
            method = parser.get_method()
            self._parser = None
        except httptools.HttpParserError:
            raise WireError("not an HTTP/1 request") from None
        target = self._target
        if not self._complete:
            raise WireError("not an HTTP/1 request")
        # The parser lets several blanks pass, and protocols that only look like HTTP.
        version = HTTP11
        if not block.startswith(b"%b %b HTTP/1.1\r\n" % (method, target)):
            if not block.startswith(b"%b %b HTTP/" % (method, target)):
                raise WireError("not an HTTP/1 request")
            version = _version(block[len(method) + len(target) + 2 :])
        self.check(version, headers)
        head = RequestHead(method, b"", b"", version, headers, index(headers))
        frame_request(head, target)
        head.wire_bytes = len(block)
        self.body_bytes = 0
        if head.length:
            self._start_body(head.length)
            self._parser = None  # it waits for a body that it will not be shown
        elif head.close or version != HTTP11:
            self._parser = None  # it waits for the connection's end
        return head

    def _parse_foreign_method(self, block: bytes) -> bytes:
        """The parser knows a list of methods; HTTP has any token (RFC 9110 section 9.1)."""
        method, _, rest = block.partition(b" ")
        if not TOKEN.fullmatch(method):
            raise WireError("the method is not a token")
        self._parser = parser = httptools.HttpRequestParser(self)
        self._headers.clear()
        self._target = b""
        try:
            parser.feed_data(b"POST " + rest)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            raise WireError("not an HTTP/1 request") from None
        return method

    def response(
        self, method: bytes, upgrade: bytes = b"", data: bytes = b""
    ) -> ResponseHead | None:
        if data:
            self.buffer = self.buffer + data if self.buffer else data
        block = self.cut()
        if block is None:
            return None
        # A fresh parser: it would otherwise wait for the body of what it was shown before.
        parser = httptools.HttpResponseParser(self)
        headers: Headers = []
        self._headers = headers
        self._reason = b""
        self._complete = False
        try:
            parser.feed_data(block)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            raise WireError("not an HTTP/1 response") from None
        if not self._complete:
            raise WireError("not an HTTP/1 response")
        version = HTTP11 if block.startswith(b"HTTP/1.1 ") else _version(block)
        self.check(version, headers)
        head = ResponseHead(
            parser.get_status_code(), headers, index(headers), version, self._reason
        )
        frame_response(head, method, upgrade)
        head.wire_bytes = len(block)
        self.body_bytes = 0
        self._start_body(head.length)
        return head

    def _start_body(self, length: int) -> None:
        self.ended = length == 0
        self._left = length
        self.trailers = _NONE
        if length == CHUNKED:
            self._chunks = ChunkedReader(self._max_fields, self._max_bytes)

    def tunnel(self) -> None:
        self._start_body(TUNNEL)

    def body(self) -> bytes:
        data = self.buffer
        left = self._left
        if left > 0:
            if len(data) > left:
                self.buffer = data[left:]
                data = data[:left]
            else:
                self.buffer = b""
            self._left = left = left - len(data)
            self.ended = left == 0
            self.body_bytes += len(data)
            return data
        if self.ended:
            return b""
        if left == CHUNKED:
            return self._chunked_body(data)
        self.buffer = b""
        self.body_bytes += len(data)
        return data

    def _chunked_body(self, data: bytes) -> bytes:
        chunks = self._chunks
        assert chunks is not None
        payload, self.buffer = chunks.read(data)
        self.body_bytes += len(data) - len(self.buffer)
        if chunks.ended:
            self.ended = True
            self.trailers = chunks.trailers
            self._chunks = None
        return payload

    def eof(self) -> None:
        if self._left in (UNTIL_CLOSE, TUNNEL) and not self.ended:
            self.ended = True
        elif not self.ended or self.buffer:
            raise WireError("the connection ended in the middle of a message")
