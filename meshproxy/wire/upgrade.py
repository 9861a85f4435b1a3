"""Tunnels: `Upgrade` in HTTP/1.1, extended CONNECT in HTTP/2 (RFC 8441), and CONNECT in both.

Inside, an upgrade looks as it does in HTTP/1.1, whichever of the two it came in or goes on in: a
GET whose ``upgrade`` names the protocol, agreed to by a 101. That is what Envoy's filters see, so
policies, routes, logs and metrics mean the same for both. A CONNECT is one with ``upgrade``
CONNECT, agreed to by a 2xx.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from meshproxy.wire.errors import PSEUDO_HEADER, WireError
from meshproxy.wire.heads import TUNNEL, Headers, RequestHead, ResponseHead, without

CONNECT: Final = b"CONNECT"
H2C: Final = b"h2c"
WEBSOCKET: Final = b"websocket"
KEY: Final = b"sec-websocket-key"
ACCEPT: Final = b"sec-websocket-accept"

# RFC 9110 7.8: a protocol's name and perhaps its version, both tokens. It becomes a line of HTTP/1.
_PROTOCOL: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?")
_LONGEST: Final = 64
_SECRET: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3; secret to nobody
_CONNECT_HAS: Final = {b":method", b":authority"}  # RFC 9113 8.5
_EXTENDED_HAS: Final = {b":method", b":scheme", b":authority", b":path", b":protocol"}


def wanted_by(pseudo: dict[bytes, bytes]) -> bytes:
    """What a CONNECT in HTTP/2 asks for: `CONNECT`, or a protocol by name (RFC 8441 section 4).

    Raises ``WireError``.
    """
    if b":protocol" not in pseudo:
        if pseudo.keys() != _CONNECT_HAS or not pseudo[b":authority"]:
            reason = "a CONNECT has an :authority, and no :scheme or :path"
            raise WireError(reason, details=PSEUDO_HEADER)
        return CONNECT
    if pseudo.keys() != _EXTENDED_HAS:
        raise WireError("an extended CONNECT lacks a pseudo-header", details=PSEUDO_HEADER)
    protocol = pseudo[b":protocol"]
    if len(protocol) > _LONGEST or not _PROTOCOL.fullmatch(protocol):
        raise WireError("the :protocol is not the name of a protocol", details=PSEUDO_HEADER)
    protocol = protocol.lower()
    if protocol == H2C:
        # The app would take it for an upgrade of its connection, and requests would pass unseen.
        raise WireError("h2c is not a protocol to tunnel", 501, PSEUDO_HEADER)
    return protocol


def connect_lines(head: RequestHead) -> Headers:
    """The pseudo-headers of a request for a tunnel."""
    if head.upgrade == CONNECT:
        return [(b":method", CONNECT), (b":authority", head.authority)]
    return [
        (b":method", CONNECT),
        (b":protocol", head.upgrade),
        (b":scheme", head.scheme),
        (b":authority", head.authority),
        (b":path", head.path),
    ]


_LENGTH: Final = frozenset({b"content-length"})


def agree(answer: ResponseHead, upgrade: bytes) -> None:
    """Make a 2xx that came in HTTP/2 the answer that opens a tunnel."""
    if upgrade != CONNECT:
        answer.status = 101
    answer.length = TUNNEL
    if b"content-length" in answer.fields:  # RFC 9110 9.3.6: to be ignored
        answer.headers = without(answer.headers, _LENGTH)
        del answer.fields[b"content-length"]


def http2_agreement(
    request: RequestHead, answer: ResponseHead, headers: Headers
) -> tuple[int, Headers]:
    """Status and fields in HTTP/2 of an answer that opens a tunnel."""
    gone = _LENGTH if KEY in request.fields else _LENGTH | {ACCEPT}
    return 200 if answer.status == 101 else answer.status, without(headers, gone)


def http1_agreement(request: RequestHead, answer: ResponseHead, headers: Headers) -> Headers:
    """The fields of a 101.

    A server of WebSocket over HTTP/2 does not answer the client's key (RFC 8441 section 5.1), which
    a client over HTTP/1.1 insists on.
    """
    fields = request.fields
    headers = [*headers, (b"connection", b"upgrade")]
    headers.append((b"upgrade", answer.fields.get(b"upgrade", request.upgrade)))
    if request.upgrade == WEBSOCKET and KEY in fields and ACCEPT not in answer.fields:
        headers.append((ACCEPT, accept_of(fields[KEY])))
    return headers


def key_of(chance: bytes) -> bytes:
    """A WebSocket client's key from 16 random bytes (RFC 6455 section 4.1)."""
    return base64.b64encode(chance)


def accept_of(key: bytes) -> bytes:
    """How a WebSocket server answers that key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _SECRET, usedforsecurity=False).digest())


def settings_of(head: RequestHead) -> bytes | None:
    """The payload of SETTINGS in a request for h2c (RFC 7540 section 3.2.1).

    None where there is not exactly one that can be read, so that there must be no upgrade.
    """
    value = head.fields.get(b"http2-settings")
    if value is None or len(value) % 4 == 1:
        return None
    try:
        payload = base64.b64decode(value + b"=" * (-len(value) % 4), b"-_", validate=True)
    except ValueError:
        return None
    return payload if len(payload) % 6 == 0 else None
