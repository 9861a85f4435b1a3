"""What a request on an upstream connection looks like, whatever its protocol.

The exchange holds an `UpstreamStream` and is its `AnswerSink`. Calls come in this order:
``on_informational*``, ``on_answer``, ``on_answer_data*``, ``on_answer_end``; or
``on_upstream_error`` at any point, after which nothing more comes. Everything is called from the
loop, and never from inside a call that the exchange is making, except by ``send_request``'s
connection failing at once, which the exchange must be ready for.

These are traits of the compiler's, which calls their methods at a twentieth of a protocol's cost.
"""

from __future__ import annotations

from mypy_extensions import trait

from meshproxy.base.errors import ProxyError
from meshproxy.record import Record
from meshproxy.wire.heads import Headers, RequestHead, ResponseHead


@trait
class AnswerSink:
    """Who is told about the answer."""

    __slots__ = ()

    def on_informational(self, head: ResponseHead) -> None:
        """A 1xx other than 101."""
        raise NotImplementedError

    def on_answer(self, head: ResponseHead) -> None:
        raise NotImplementedError

    def on_answer_data(self, data: bytes) -> None:
        raise NotImplementedError

    def on_answer_end(self, trailers: Headers) -> None:
        raise NotImplementedError

    def on_answer_flush(self) -> None:
        """One read's worth has been told: what it made for the client should be written now."""
        raise NotImplementedError

    def on_upstream_error(self, error: ProxyError) -> None:
        raise NotImplementedError

    def on_upstream_writable(self, writable: bool) -> None:
        """Whether more of the request's body should be sent now."""
        raise NotImplementedError


@trait
class UpstreamStream:
    """One request on its way."""

    __slots__ = ()

    def describe(self, record: Record) -> None:
        """Say of its connection: our address there, what TLS has made known of the server, and
        whether it had carried a request before."""
        raise NotImplementedError

    def send_request(self, head: RequestHead, headers: Headers, sink: AnswerSink) -> None:
        """Send the head. ``head.length`` 0 ends the request with it.

        ``headers`` are end-to-end fields only; the codec adds what its framing needs.
        """
        raise NotImplementedError

    def send_data(self, data: bytes) -> None:
        raise NotImplementedError

    def send_end(self, trailers: Headers) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        """Write what was sent since the last flush, in one system call."""
        raise NotImplementedError

    def pause(self) -> None:
        """Stop reading the answer until `resume`."""
        raise NotImplementedError

    def resume(self) -> None:
        raise NotImplementedError

    def cancel(self) -> None:
        """Give up; the sink is told nothing more."""
        raise NotImplementedError
