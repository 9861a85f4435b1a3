"""Which codec stands behind each interface (``--http1-codec``, ``--http2-codec``)."""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.model.settings import Settings
from meshproxy.wire.h1 import Reader
from meshproxy.wire.h1_fast import FastReader
from meshproxy.wire.h2 import Codec

HTTP1 = ("fast", "h11")
HTTP2 = ("h2",)


MakeReader = Callable[[int, int], Reader]
"""Makes a reader for one direction of one connection: most bytes of a head, most fields."""
MakeCodec = Callable[[bool, Settings], Codec]
"""Makes a codec for one connection: whether we are the client, and the bounds."""


def http1_reader(name: str) -> MakeReader:
    if name == "fast":
        return FastReader
    # Imported where it is used: the reference is not part of a usual worker.
    from meshproxy.wire.h1_reference import ReferenceReader

    return ReferenceReader


def http2_codec(name: str) -> MakeCodec:
    from meshproxy.wire.h2_reference import ReferenceCodec

    def make(client: bool, settings: Settings) -> Codec:
        return ReferenceCodec(
            client,
            settings.max_h2_streams,
            settings.buffer_bytes,
            settings.max_response_headers_bytes if client else settings.max_request_headers_bytes,
        )

    return make
