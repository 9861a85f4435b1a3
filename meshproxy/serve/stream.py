"""What a request on a downstream connection looks like, whatever its protocol.

The exchange is the stream's `RequestSink`. Body data comes only after `start_body`; until then the
connection holds it back (and stops reading when there is too much).
"""

from __future__ import annotations

from typing import Protocol

from meshproxy.base.errors import ProxyError
from meshproxy.wire.heads import Headers, ResponseHead


class RequestSink(Protocol):
    """Who is told about the rest of the request."""

    def on_request_data(self, data: bytes) -> None: ...

    def on_request_end(self, trailers: Headers) -> None: ...

    def on_request_flush(self) -> None:
        """One read's worth has been told: what it made for the upstream should be written now."""
        ...

    def on_client_error(self, error: ProxyError) -> None:
        """The client has gone, or broke the protocol; nothing more comes."""
        ...

    def on_client_writable(self, writable: bool) -> None:
        """Whether more of the answer should be sent now."""
        ...


class DownstreamStream(Protocol):
    """One request that came in."""

    wire_in: int
    """Bytes of this request so far, heads and framing included."""
    wire_out: int

    def start_body(self) -> None: ...

    def start_tunnel(self) -> None:
        """From now on bytes both ways, those held back first; follows the head that agreed."""
        ...

    def send_informational(self, head: ResponseHead) -> None: ...

    def send_answer(self, head: ResponseHead, headers: Headers) -> None:
        """The answer's head; ``head.length`` 0 ends it. ``headers`` are end-to-end fields."""
        ...

    def send_data(self, data: bytes) -> None: ...

    def send_end(self, trailers: Headers) -> None: ...

    def flush(self) -> None:
        """Write what was sent since the last flush, in one system call; `done` does it too."""
        ...

    def reset(self, error: ProxyError) -> None:
        """The answer can't be completed: cut it off, so that nobody takes it for whole."""
        ...

    def pause(self) -> None:
        """Stop reading the request's body until `resume`."""
        ...

    def resume(self) -> None: ...

    def done(self) -> None:
        """The exchange has ended; the connection goes on with what comes next."""
        ...
