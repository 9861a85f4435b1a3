"""What an HTTP/1 reader is, and the part of it that both implementations share.

A reader belongs to one direction of one connection. It is handed what was read together with the
question what it makes of it: a head, body bytes, the end. Nothing is read ahead of a message's end,
so that pipelined requests wait in ``buffer`` as the bytes they came as. Implementations differ in
who understands heads and bodies; `wire/framing.py` rules over both.

    head = reader.request(data)     # None: not all here yet
    while not reader.ended:
        piece = reader.body()       # b"": hand it more with `feed`
"""

from __future__ import annotations

from meshproxy.wire.errors import TooLarge, WireError
from meshproxy.wire.heads import HTTP10, HTTP11, Headers, RequestHead, ResponseHead

_SHORTEST_HEAD = 12  # "HTTP/1.1 200"; anything that ends sooner is empty lines or broken


class Reader:
    """One direction of an HTTP/1 connection. Methods raise ``WireError`` for broken input."""

    def __init__(self) -> None:
        self.buffer = b""
        """What was handed in and not given out yet."""
        self.ended = True
        """The current message's last byte was given out (also true before the first one)."""
        self.trailers: Headers = []
        """Valid once ``ended``."""
        self.body_bytes = 0
        """Bytes that the current message's body took on the wire so far."""

    def feed(self, data: bytes) -> None:
        self.buffer += data

    def request(self, data: bytes = b"") -> RequestHead | None:
        raise NotImplementedError

    def response(
        self, method: bytes, upgrade: bytes = b"", data: bytes = b""
    ) -> ResponseHead | None:
        raise NotImplementedError

    def body(self) -> bytes:
        raise NotImplementedError

    def eof(self) -> None:
        """The peer ended its side. Ends a body that lasts until then; else raises."""
        raise NotImplementedError

    def tunnel(self) -> None:
        """The message just read turned the connection into a tunnel: all that follows is body."""
        raise NotImplementedError


class HeadCutter(Reader):
    """Collects bytes until a whole head is there, and holds it to the bounds."""

    def __init__(self, max_bytes: int, max_fields: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._max_fields = max_fields

    def cut(self) -> bytes | None:
        """The next head with its empty line, taken out of the buffer; None if not all is there."""
        buffer = self.buffer
        end = buffer.find(b"\r\n\r\n", 0, self._max_bytes + 4)
        if end < _SHORTEST_HEAD:
            return self._unusual_cut()
        end += 4
        if end == len(buffer):
            self.buffer = b""
            return buffer
        self.buffer = buffer[end:]
        return buffer[:end]

    def _unusual_cut(self) -> bytes | None:
        """Not a whole head, or empty lines before it (RFC 9112 2.2 asks to skip those)."""
        if self.buffer[:2] == b"\r\n":
            self.buffer = self.buffer.lstrip(b"\r\n")
            return self.cut() if self.buffer else None
        if b"\r\n\r\n" in self.buffer[: _SHORTEST_HEAD + 3]:
            raise WireError("not an HTTP/1 message")
        # A line that only ends in LF would otherwise be waited on until the header timeout.
        if self.buffer.count(b"\n") != self.buffer.count(b"\r\n"):
            raise WireError("a line does not end in CR LF")
        if len(self.buffer) > self._max_bytes:
            raise TooLarge(f"more than {self._max_bytes} bytes of headers")
        return None

    def check(self, version: int, headers: Headers) -> None:
        """What holds for requests and answers alike, before their framing is looked at."""
        if version != HTTP11 and version != HTTP10:
            raise WireError("an HTTP version other than 1.0 and 1.1", 505)
        if len(headers) > self._max_fields:
            raise TooLarge(f"more than {self._max_fields} headers")
