"""Heads and chunks of HTTP/1 as bytes (RFC 9112)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from meshproxy.wire.heads import Headers

REASONS: Final[dict[int, bytes]] = {status.value: status.phrase.encode() for status in HTTPStatus}
LAST_CHUNK: Final = b"0\r\n\r\n"

# Fields that say how a message is framed, and what becomes of its connection.
CLOSE: Final = (b"connection", b"close")
KEEP_ALIVE: Final = (b"connection", b"keep-alive")
NO_BODY: Final = (b"content-length", b"0")
CHUNKED_CODING: Final = (b"transfer-encoding", b"chunked")

_SMALL: Final = 16 * 1024


def request_head(method: bytes, path: bytes, headers: Headers) -> bytes:
    """A request's head; ``headers`` must hold its framing already, and at least one field."""
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n" % (
        method,
        path,
        b"\r\n".join(map(b": ".join, headers)),
    )


def response_head(status: int, reason: bytes, headers: Headers) -> bytes:
    """A response's head. Answers go out as HTTP/1.1 even to HTTP/1.0 (RFC 9110 section 6.2)."""
    line = b"HTTP/1.1 %d %b\r\n" % (status, reason or REASONS.get(status, b""))
    if not headers:
        return line + b"\r\n"
    return b"%b%b\r\n\r\n" % (line, b"\r\n".join(map(b": ".join, headers)))


def chunk(data: bytes) -> list[bytes]:
    """Pieces that make ``data`` (not empty) one chunk; large data is not copied."""
    if len(data) <= _SMALL:
        return [b"%x\r\n%b\r\n" % (len(data), data)]
    return [b"%x\r\n" % len(data), data, b"\r\n"]


def last_chunk(trailers: Headers) -> bytes:
    """The end of a chunked body, with its trailers."""
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n%b\r\n\r\n" % b"\r\n".join(map(b": ".join, trailers))
