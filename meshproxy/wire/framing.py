"""Where a message's body ends, and everything else that request smuggling feeds on.

Two programs that disagree about where one request ends and the next begins let a stranger put a
request into somebody else's connection. So this is decided once, here, from the fields alone,
before either HTTP/1 reader's own opinion is used; what two programs could read in two ways is
refused. Rules: RFC 9112 sections 2.2, 3.2, 5.1, 5.2, 6.1, 6.3; RFC 9110 sections 5.5, 7.6.1, 8.6.
"""

from __future__ import annotations

import re
from typing import Final

from meshproxy.wire.errors import WireError
from meshproxy.wire.heads import (
    CHUNKED,
    HTTP10,
    HTTP11,
    TUNNEL,
    UNTIL_CLOSE,
    RequestHead,
    ResponseHead,
    without,
)
from meshproxy.wire.upgrade import H2C

_MAX_LENGTH_DIGITS: Final = 18  # under 2**63, what every other program counts in

TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_AUTHORITY: Final = re.compile(
    rb"(?:[A-Za-z0-9\-._~!$&'()*+;=%]+|\[[0-9A-Fa-f:.]+\])?(?::[0-9]{0,5})?"
)
_BARE_BREAK: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LENGTHS: Final = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*([^\r]*)", re.IGNORECASE)
_FOLD: Final = re.compile(rb"\r\n[ \t]")
# RFC 9110 5.5: CTLs other than HTAB never stand in a field value.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_block(block: bytes) -> None:
    """Refuse what readers read differently: bare CR or LF, folded lines, control characters,
    repeated lengths.

    The fast reader's parser refuses these by itself (tests hold it to that); the reference's does
    not, and is only shown blocks that passed here.
    """
    if _BARE_BREAK.search(block):
        raise WireError("a line does not end in CR LF")
    if _FOLD.search(block):
        raise WireError("a header is folded over two lines")
    if _CONTROL.search(block):
        raise WireError("a control character in the head")
    lengths = _LENGTHS.findall(block)
    if lengths:
        content_length(b",".join(lengths).rstrip(b" \t"))


def content_length(value: bytes) -> int:
    """The value of Content-Length; ``WireError`` unless it is one plain decimal number."""
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise WireError("Content-Length is not one number", details="invalid_content_length")
    return int(value)


def frame_request(head: RequestHead, target: bytes) -> None:
    """Set ``path``, ``authority``, ``length``, ``close``, ``upgrade``; ``WireError`` if unsafe."""
    fields = head.fields
    host = fields.get(b"host")
    if host is None:
        if head.version >= HTTP11:
            raise WireError("the Host header is missing", details="missing_host_header")
        host = b""
    else:
        check_authority(host)
    head.authority = host
    if target[:1] == b"/" and head.method != b"CONNECT":
        head.path = target
    else:
        _frame_target(head, target)
    if b"transfer-encoding" in fields:
        head.length = _chunked(fields, head.version)
    elif b"content-length" in fields:
        head.length = content_length(fields[b"content-length"])
    if b"connection" in fields or head.version == HTTP10:
        _frame_connection(head)


_known_hosts: Final[set[bytes]] = set()
_MOST_HOSTS: Final = 1024


def check_authority(host: bytes) -> None:
    """``WireError`` unless this is a host name, with or without a port; good ones are kept."""
    if host in _known_hosts:
        return
    if not _AUTHORITY.fullmatch(host):
        # A repeated Host arrives here joined by a comma, which no host name holds.
        raise WireError("the Host header is not one host name", details="invalid_host")
    if len(_known_hosts) >= _MOST_HOSTS:
        _known_hosts.clear()
    if len(host) < 256:
        _known_hosts.add(host)


def _frame_target(head: RequestHead, target: bytes) -> None:
    """Targets in another form than ``/path``: absolute, authority (CONNECT), asterisk (OPTIONS)."""
    if head.method == b"CONNECT":
        if not target or not _AUTHORITY.fullmatch(target):
            raise WireError("the target of CONNECT is not host:port", details="invalid_url")
        head.authority = head.path = target
        head.upgrade = b"CONNECT"
        return
    if target == b"*" and head.method == b"OPTIONS":
        head.path = target
        return
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise WireError("the target is neither a path nor a URL", details="invalid_url")
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if not authority or not _AUTHORITY.fullmatch(authority):
        raise WireError("the URL's host is not a host name", details="invalid_url")
    # RFC 9112 3.2.2: the URL's authority replaces whatever Host said.
    head.authority = authority
    head.fields[b"host"] = authority
    head.headers[:] = [(b"Host", authority), *without(head.headers, {b"host"})]
    head.scheme = scheme.lower()
    head.path = path if path[:1] == b"/" else b"/" + path


def _chunked(fields: dict[bytes, bytes], version: int) -> int:
    if b"content-length" in fields:
        raise WireError(
            "both Transfer-Encoding and Content-Length", details="invalid_transfer_encoding"
        )
    if version == HTTP10:
        raise WireError("Transfer-Encoding in HTTP/1.0", details="invalid_transfer_encoding")
    if fields[b"transfer-encoding"].lower() != b"chunked":
        raise WireError(
            "a transfer coding other than chunked", status=501, details="invalid_transfer_encoding"
        )
    return CHUNKED


_remembered: Final[dict[bytes, tuple[bytes, ...]]] = {}
_MOST_REMEMBERED: Final = 256


def tokens(value: bytes) -> tuple[bytes, ...]:
    """A comma-separated list in lower case, without empty members.

    Values of `Connection` are few and come with nearly every message: they are remembered.
    """
    known = _remembered.get(value)
    if known is None:
        known = tuple(
            item.strip(b" \t").lower() for item in value.split(b",") if item.strip(b" \t")
        )
        if len(_remembered) < _MOST_REMEMBERED and len(value) < 64:
            _remembered[value] = known
    return known


def _frame_connection(head: RequestHead) -> None:
    options = tokens(head.fields.get(b"connection", b""))
    if head.version == HTTP10:
        head.close = b"keep-alive" not in options or b"close" in options
        return  # RFC 9110 7.8: an Upgrade in HTTP/1.0 is ignored
    head.close = b"close" in options
    if b"upgrade" in options and b"upgrade" in head.fields and not head.length and not head.upgrade:
        wanted = tokens(head.fields[b"upgrade"])
        # h2c is never passed on: the connection would change protocol under our feet. It is ours
        # to agree to, if it is all that is asked for, and asked for properly (RFC 7540 3.2).
        if wanted == (H2C,) and b"http2-settings" in options:
            head.upgrade = H2C
        elif wanted and H2C not in wanted:
            head.upgrade = wanted[0]


def frame_response(head: ResponseHead, method: bytes, upgrade: bytes) -> None:
    """Set ``length`` and ``close`` of a response to a request with this method and upgrade."""
    fields, status = head.fields, head.status
    if not 100 <= status <= 599:
        raise WireError("a status code that HTTP does not have")
    if b"connection" in fields:
        options = tokens(fields[b"connection"])
        head.close = b"close" in options or (
            head.version == HTTP10 and b"keep-alive" not in options
        )
    else:
        head.close = head.version == HTTP10
    if status < 200:
        if status == 101:
            if not upgrade or upgrade == b"CONNECT":
                raise WireError("a 101 that nobody asked for")
            head.length = TUNNEL
        return
    if upgrade == b"CONNECT" and status < 300:
        head.length = TUNNEL
        return
    if b"transfer-encoding" in fields:
        length = _chunked(fields, head.version)
    elif b"content-length" in fields:
        length = content_length(fields[b"content-length"])
    else:
        length = UNTIL_CLOSE
    if method == b"HEAD" or status in (204, 304):
        # RFC 9112 6.3: no body, whatever the fields say; they were still checked above.
        length = 0
    head.length = length
    if length == UNTIL_CLOSE:
        head.close = True
