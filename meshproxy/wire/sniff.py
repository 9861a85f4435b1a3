"""What the first bytes of a connection say about its protocol.

Used where a port does not say it. Biased to opaque: bytes that are not clearly HTTP are passed on
as they are, which is right for any protocol.
"""

from __future__ import annotations

import re
from enum import Enum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 section 3.4

_LIMIT = 8192  # an HTTP/1 request line longer than this is not recognised as one
_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32} [^ \r\n]+ HTTP/1\.[01]\r?\n")
_BEGINNING = re.compile(
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}(?: (?:[^ \r\n]+(?: [HTP/1.0]{0,8}\r?)?)?)?"
)
_COMMON = re.compile(rb"(?:GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) /")


class Sniffed(Enum):
    MORE = "more"
    HTTP1 = "http1"
    HTTP2 = "http2"
    TLS = "tls"
    OPAQUE = "opaque"


def sniff(data: bytes) -> Sniffed:
    """Judge the bytes that came so far; ``MORE`` where they could still become several things."""
    if not data:
        return Sniffed.MORE
    if data[0] == 0x16 and (len(data) < 2 or data[1] == 0x03):
        return Sniffed.TLS if len(data) > 1 else Sniffed.MORE
    if data.startswith(PREFACE):
        return Sniffed.HTTP2
    if PREFACE.startswith(data):
        return Sniffed.MORE
    if _COMMON.match(data) or _LINE.match(data):
        return Sniffed.HTTP1
    if len(data) < _LIMIT and _BEGINNING.fullmatch(data):
        return Sniffed.MORE
    return Sniffed.OPAQUE
