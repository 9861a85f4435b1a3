"""Heads of requests and responses, as every codec hands them on.

A head is a plain slots object and not a frozen dataclass: one is made for every request, and making
a frozen one costs six times as much. Nobody but its codec and the exchange changes it.
"""

from __future__ import annotations

from typing import Any, Final

Headers = list[tuple[bytes, bytes]]
"""Names and values in the order and the spelling they arrived in."""

# Body lengths that are not a number of bytes.
CHUNKED: Final = -1  # its end will be told by the codec (chunked coding, or HTTP/2's END_STREAM)
UNTIL_CLOSE: Final = -2  # HTTP/1 response that ends with its connection
TUNNEL: Final = -3  # after a 101, or a 2xx to CONNECT: bytes both ways until both sides have ended

HTTP10: Final = 10
HTTP11: Final = 11
HTTP2: Final = 20


class RequestHead:
    """A request without its body.

    ``path`` is the origin form with the query (or ``*``; the authority for CONNECT). ``authority``
    is the Host, `:authority`, or an absolute-form target's host. ``fields`` maps lower-cased names
    to values, repeated ones joined by commas. ``length`` is the body's, in bytes, or one of the
    constants above. ``close``: the client wants the connection closed afterwards.
    ``wire_bytes``: size of the head as it came.
    """

    __slots__ = (
        "authority",
        "close",
        "fields",
        "headers",
        "length",
        "method",
        "path",
        "scheme",
        "upgrade",
        "version",
        "wire_bytes",
    )

    def __init__(
        self,
        method: bytes,
        path: bytes,
        authority: bytes,
        version: int,
        headers: Headers,
        fields: dict[bytes, bytes],
    ) -> None:
        self.method = method
        self.path = path
        self.authority = authority
        self.scheme = b"http"
        self.version = version
        self.headers = headers
        self.fields = fields
        self.length = 0
        self.close = False
        self.upgrade = b""
        self.wire_bytes = 0


class ResponseHead:
    """A response without its body; fields as in `RequestHead`."""

    __slots__ = (
        "close",
        "fields",
        "headers",
        "length",
        "reason",
        "status",
        "version",
        "wire_bytes",
    )

    def __init__(
        self,
        status: int,
        headers: Headers,
        fields: dict[bytes, bytes],
        version: int = HTTP11,
        reason: bytes = b"",
    ) -> None:
        self.status = status
        self.reason = reason
        self.version = version
        self.headers = headers
        self.fields = fields
        self.length = 0
        self.close = False
        self.wire_bytes = 0


# Spellings of names that have come before: looking one up costs half of making it again.
_known_names: Final[dict[bytes, bytes]] = {}
_MOST_NAMES: Final = 1024
_LONGEST_NAME: Final = 64


def lower(name: bytes) -> bytes:
    """A field's name in lower case."""
    found = _known_names.get(name)
    if found is None:
        found = name.lower()
        if len(name) <= _LONGEST_NAME:
            if len(_known_names) >= _MOST_NAMES:
                _known_names.clear()
            _known_names[name] = found
    return found


def index(headers: Headers) -> dict[bytes, bytes]:
    """Lower-cased names to values; repeated fields are joined by commas (RFC 9110 section 5.3)."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[lower(name)] = value
    if len(fields) != len(headers):
        fields = {}
        for name, value in headers:
            key = lower(name)
            before = fields.get(key)
            if before is not None:
                value = before + (b"; " if key == b"cookie" else b",") + value
            fields[key] = value
    return fields


def without(headers: Headers, names: frozenset[bytes] | set[bytes]) -> Headers:
    """The headers whose lower-cased name is not among ``names``."""
    lines: list[Any] = headers  # so that pairs stay the same objects
    kept: list[Any] = []
    for pair in lines:
        line: tuple[bytes, bytes] = pair
        if lower(line[0]) not in names:
            kept.append(pair)
    return kept
