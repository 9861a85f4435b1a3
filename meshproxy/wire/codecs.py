"""Which codec stands behind each interface (``--http1-codec``, ``--http2-codec``)."""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.model.settings import Settings
from meshproxy.wire.h1 import Reader
from meshproxy.wire.h1_fast import FastReader
from meshproxy.wire.h2 import Codec
from meshproxy.wire.h2_fast import FastCodec
from meshproxy.wire.h2_floods import Bounds

HTTP1 = ("fast", "h11")
HTTP2 = ("fast", "h2")


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
    return _fast_codec if name == "fast" else _reference_codec


def _fast_codec(client: bool, settings: Settings) -> Codec:
    return FastCodec(
        client,
        settings.max_h2_streams,
        settings.buffer_bytes,
        settings.max_response_headers_bytes if client else settings.max_request_headers_bytes,
        Bounds(
            settings.max_h2_resets,
            settings.max_h2_owed_resets,
            settings.max_h2_control_frames,
            settings.max_h2_empty_frames,
            settings.max_h2_idle_frames,
            settings.max_h2_window_updates,
            settings.max_h2_tiny_windows,
            settings.max_h2_continuations,
        ),
    )


def _reference_codec(client: bool, settings: Settings) -> Codec:
    from meshproxy.wire.h2_reference import ReferenceCodec

    return ReferenceCodec(
        client,
        settings.max_h2_streams,
        settings.buffer_bytes,
        settings.max_response_headers_bytes if client else settings.max_request_headers_bytes,
    )
