"""A cleartext HTTP/1.1 connection that becomes HTTP/2, as its client asks (RFC 7540 section 3.2).

The upgrade is ours to agree to: behind us another connection carries the request. It is agreed to
where the rules are kept to the letter, and left aside otherwise, so that the request is served in
HTTP/1.1. RFC 9113 has dropped it, but curl and Java's own client still ask this way.
"""

from __future__ import annotations

import asyncio

from meshproxy.serve.http2 import Http2Server
from meshproxy.serve.visit import Visit
from meshproxy.wire import h1_write
from meshproxy.wire.errors import WireError
from meshproxy.wire.heads import HTTP2, RequestHead
from meshproxy.wire.upgrade import H2C, settings_of

SWITCHING = h1_write.response_head(101, b"", [(b"connection", b"upgrade"), (b"upgrade", H2C)])


def server_for(visit: Visit, head: RequestHead) -> Http2Server | None:
    """The connection's next protocol; None where there must be no upgrade."""
    settings = settings_of(head)
    if settings is None or head.close or visit.secured is not None:
        return None
    serving = visit.serving
    codec = serving.http2(False, visit.chain.settings)
    try:
        codec.upgraded(settings)
    except WireError:
        return None
    head.version = HTTP2
    return Http2Server(visit, codec)


def take_over(
    server: Http2Server, transport: asyncio.Transport, head: RequestHead, rest: bytes
) -> None:
    """The 101 has been written; ``rest`` came behind the request."""
    transport.set_protocol(server)
    server.connection_made(transport)
    server.begin_first(head)
    if rest:
        server.data_received(rest)
