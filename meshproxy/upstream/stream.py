"""What a request on an upstream connection looks like, whatever its protocol.

The exchange holds an `UpstreamStream` and is its `AnswerSink`. Calls come in this order:
``on_informational*``, ``on_answer``, ``on_answer_data*``, ``on_answer_end``; or
``on_upstream_error`` at any point, after which nothing more comes. Everything is called from the
loop, and never from inside a call that the exchange is making, except by ``send_request``'s
connection failing at once, which the exchange must be ready for.
"""

from __future__ import annotations

from typing import Protocol

from meshproxy.base.addr import Address
from meshproxy.base.errors import ProxyError
from meshproxy.record import Secured
from meshproxy.wire.heads import Headers, RequestHead, ResponseHead


class AnswerSink(Protocol):
    """Who is told about the answer."""

    def on_informational(self, head: ResponseHead) -> None:
        """A 1xx other than 101."""
        ...

    def on_answer(self, head: ResponseHead) -> None: ...

    def on_answer_data(self, data: bytes) -> None: ...

    def on_answer_end(self, trailers: Headers) -> None: ...

    def on_answer_flush(self) -> None:
        """One read's worth has been told: what it made for the client should be written now."""
        ...

    def on_upstream_error(self, error: ProxyError) -> None: ...

    def on_upstream_writable(self, writable: bool) -> None:
        """Whether more of the request's body should be sent now."""
        ...


class UpstreamStream(Protocol):
    """One request on its way."""

    @property
    def reused(self) -> bool:
        """Whether the connection had carried a request before."""
        ...

    @property
    def local(self) -> Address: ...

    @property
    def secured(self) -> Secured | None:
        """What TLS has made known of the server; None: plain text."""
        ...

    def send_request(self, head: RequestHead, headers: Headers, sink: AnswerSink) -> None:
        """Send the head. ``head.length`` 0 ends the request with it.

        ``headers`` are end-to-end fields only; the codec adds what its framing needs.
        """
        ...

    def send_data(self, data: bytes) -> None: ...

    def send_end(self, trailers: Headers) -> None: ...

    def flush(self) -> None:
        """Write what was sent since the last flush, in one system call."""
        ...

    def pause(self) -> None:
        """Stop reading the answer until `resume`."""
        ...

    def resume(self) -> None: ...

    def cancel(self) -> None:
        """Give up; the sink is told nothing more."""
        ...
