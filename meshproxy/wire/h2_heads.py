"""Heads and trailers of HTTP/2 messages: what may stand in a header block (RFC 9113 section 8).

Everything that HTTP/1 could not carry on without becoming another message is refused here, whatever
the codec that has read the frames.
"""

from __future__ import annotations

import re
from typing import Any, Final

from meshproxy.wire.errors import PSEUDO_HEADER, WireError
from meshproxy.wire.framing import TOKEN, check_authority, content_length
from meshproxy.wire.heads import (
    CHUNKED,
    HTTP2,
    Headers,
    RequestHead,
    ResponseHead,
    index,
    lower,
    without,
)
from meshproxy.wire.upgrade import CONNECT, wanted_by

# What malformed messages are counted as.
_NAMED: Final = "http2.header_name"
_VALUE: Final = "http2.header_value"
_HTTP1: Final = "http2.connection_header"
CONTENT_LENGTH: Final = "http2.content_length"
TOO_LARGE: Final = "http2.headers_too_large"

_OF_REQUESTS: Final = {b":method", b":scheme", b":authority", b":path"}  # RFC 9113 8.3.1

_METHODS: Final = frozenset((b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH"))
_IN_PATHS: Final = bytes(range(0x21, 0x7F))
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
# RFC 9113 8.2.1, and no other control character: a line break would end a line of HTTP/1.
_IN_VALUES: Final = bytes((0x09, *range(0x20, 0x7F), *range(0x80, 0x100)))
# RFC 9113 8.2.2: they are about one connection of HTTP/1.1.
_OF_CONNECTIONS: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_BLANK: Final = 0x20
_known_names: Final[set[bytes]] = set()
_MOST_NAMES: Final = 1024
_LONGEST_NAME: Final = 64


def request_head(headers: Headers, end: bool, max_fields: int) -> RequestHead:
    """A request from its header block.

    Raises ``WireError`` for everything that HTTP/1 could not carry on without becoming another
    request: the codec knows frames, what may stand in a request line is decided here.
    """
    pseudo, fields = _split(headers, max_fields)
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if method not in _METHODS and not TOKEN.fullmatch(method):
        raise WireError("the :method is not a token", details=PSEUDO_HEADER)
    upgrade = b""
    if method == CONNECT:
        upgrade = wanted_by(pseudo)
    else:
        for name in pseudo:
            if name not in _OF_REQUESTS:
                raise WireError("a pseudo-header that requests do not have", details=PSEUDO_HEADER)
    scheme = b"http"
    if upgrade == CONNECT:
        path = pseudo[b":authority"]
    else:
        good = path[:1] == b"/" and not path.translate(None, _IN_PATHS)
        if not good and (method, path) != (b"OPTIONS", b"*"):
            raise WireError("the :path is not a path", details=PSEUDO_HEADER)
        scheme = pseudo.get(b":scheme", b"")
        if scheme != b"http" and scheme != b"https":
            raise WireError("the :scheme is neither http nor https", details=PSEUDO_HEADER)
    found = _index(fields)
    if len(found) != len(fields) and b"cookie" in found:
        # RFC 9113 8.2.3: what was cut up to be compressed is one line again, HTTP/1 has but one.
        fields = [*without(fields, {b"cookie"}), (b"cookie", found[b"cookie"])]
    host = found.get(b"host")
    authority = pseudo.get(b":authority", host or b"")
    if host is not None and b":authority" in pseudo:
        # RFC 9113 8.3.1: Host must not say anything else, and is left out on the way on.
        if host.lower() != authority.lower():
            raise WireError("Host and :authority are not the same", details=PSEUDO_HEADER)
        fields = without(fields, {b"host"})
        del found[b"host"]
    head = RequestHead(method, path, b"", HTTP2, fields, found)
    head.authority = authority
    try:
        check_authority(head.authority)
    except WireError as error:
        raise WireError(error.reason, details=PSEUDO_HEADER) from None
    head.scheme = scheme
    head.wire_bytes = size_of(headers)
    if upgrade:
        _ask_for_tunnel(head, upgrade)
    else:
        head.length = _length(head.fields, end)
    return head


def _ask_for_tunnel(head: RequestHead, upgrade: bytes) -> None:
    if b"content-length" in head.fields:
        raise WireError("a CONNECT with a Content-Length")
    head.upgrade = upgrade
    if upgrade != CONNECT:
        head.method = b"GET"
        # For policies, routes and the log, as of HTTP/1.1.
        head.fields[b"upgrade"] = upgrade
        head.fields[b"connection"] = b"upgrade"


def response_head(headers: Headers, end: bool, method: bytes, max_fields: int) -> ResponseHead:
    """An answer from its header block."""
    pseudo, fields = _split(headers, max_fields)
    if len(pseudo) > 1:
        raise WireError("a pseudo-header that answers do not have", details=PSEUDO_HEADER)
    status = pseudo.get(b":status", b"")
    if len(status) != 3 or not status.isdigit() or not 100 <= int(status) <= 599:
        raise WireError("the :status is not a status code", details=PSEUDO_HEADER)
    if status == b"101":
        reason = "a 101, which HTTP/2 does not have (RFC 9113 section 8.6)"
        raise WireError(reason, details=PSEUDO_HEADER)
    head = ResponseHead(int(status), fields, _index(fields), HTTP2)
    head.wire_bytes = size_of(headers)
    head.length = 0 if end or method == b"HEAD" else _length(head.fields, end)
    return head


def check_trailers(trailers: Headers, max_fields: int) -> Headers:
    """Trailers that may be passed on; ``WireError`` for others."""
    pseudo, fields = _split(trailers, max_fields)
    if pseudo:
        raise WireError("a pseudo-header in trailers", details=PSEUDO_HEADER)
    return fields


def _split(headers: Headers, max_fields: int) -> tuple[dict[bytes, bytes], Headers]:
    pseudo: dict[bytes, bytes] = {}
    fields: list[Any] = []
    values: list[bytes] = []
    lines: list[Any] = headers
    for pair in lines:
        line: tuple[bytes, bytes] = pair
        name, value = line
        if value:
            values.append(value)
            if (value[0] <= _BLANK or value[-1] <= _BLANK) and value.strip(b" \t") != value:
                raise WireError("a header's value begins or ends with a blank", details=_VALUE)
        if name in _known_names:
            fields.append(pair)
        elif name[:1] == b":":
            if name in pseudo or fields:
                reason = "a pseudo-header twice, or after other headers"
                raise WireError(reason, details=PSEUDO_HEADER)
            pseudo[name] = value
        else:
            _check_field(name, value)
            fields.append(pair)
    if b"".join(values).translate(None, _IN_VALUES):
        raise WireError("a control character in a header", details=_VALUE)
    if len(fields) > max_fields:
        raise WireError(f"more than {max_fields} headers", 431, "http2.too_many_headers")
    return pseudo, fields


def _check_field(name: bytes, value: bytes) -> None:
    """A name that is not among the known ones; it is, afterwards, if nothing can be wrong."""
    if not _NAME.fullmatch(name):
        raise WireError("a header's name is not a token in lower case", details=_NAMED)
    if name in _OF_CONNECTIONS:
        raise WireError("a header about a connection of HTTP/1.1", details=_HTTP1)
    if name == b"te":
        if value.lower() != b"trailers":
            raise WireError("TE says something else than trailers", details=_HTTP1)
    elif len(_known_names) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
        _known_names.add(name)


def _length(fields: dict[bytes, bytes], end: bool) -> int:
    declared = 0
    if b"content-length" in fields:
        try:
            declared = content_length(fields[b"content-length"])
        except WireError as error:
            raise WireError(error.reason, details=CONTENT_LENGTH) from None
    if end:
        if declared:
            raise WireError("a Content-Length and no body", details=CONTENT_LENGTH)
        return 0
    # Zero bytes may still be followed by an empty frame that ends the stream, or by trailers.
    return declared or CHUNKED


def _index(fields: list[Any]) -> dict[bytes, bytes]:
    """`heads.index` of names that are in lower case already."""
    found: dict[bytes, bytes] = dict(fields)
    return found if len(found) == len(fields) else index(fields)


def size_of(headers: list[Any]) -> int:
    """Bytes of a head on the wire, near enough: as HTTP/1.1 would have it."""
    size = 0
    for pair in headers:
        line: tuple[bytes, bytes] = pair
        name, value = line
        size += len(name) + len(value) + 4
    return size


def in_lower_case(headers: list[Any], but: bytes = b"") -> list[Any]:
    """The same lines as HTTP/2 wants them (RFC 9113 8.2), ``but`` those of that name; pairs that
    are right are kept."""
    found: list[Any] = []
    for pair in headers:
        line: tuple[bytes, bytes] = pair
        name, value = line
        wanted = lower(name)
        if wanted == name:
            if name != but:
                found.append(pair)
        elif wanted != but:
            found.append((wanted, value))
    return found
