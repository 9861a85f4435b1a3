"""What a request on a downstream connection looks like, whatever its protocol.

The exchange is told the rest of the request by its ``on_request_*`` and ``on_client_*``. Body data
comes only after `start_body`; until then the connection holds it back (and stops reading when there
is too much).
"""

from __future__ import annotations

from mypy_extensions import trait

from meshproxy.base.errors import ProxyError
from meshproxy.record import Record
from meshproxy.wire.heads import Headers, ResponseHead


@trait
class DownstreamStream:
    """One request that came in."""

    __slots__ = ()

    def measure(self, record: Record) -> None:
        """Say how many bytes this request took so far either way, heads and framing included."""
        raise NotImplementedError

    def start_body(self) -> None:
        raise NotImplementedError

    def start_tunnel(self) -> None:
        """From now on bytes both ways, those held back first; follows the head that agreed."""
        raise NotImplementedError

    def send_informational(self, head: ResponseHead) -> None:
        raise NotImplementedError

    def send_answer(self, head: ResponseHead, headers: Headers) -> None:
        """The answer's head; ``head.length`` 0 ends it. ``headers`` are end-to-end fields."""
        raise NotImplementedError

    def send_data(self, data: bytes) -> None:
        raise NotImplementedError

    def send_end(self, trailers: Headers) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        """Write what was sent since the last flush, in one system call; `done` does it too."""
        raise NotImplementedError

    def reset(self, error: ProxyError) -> None:
        """The answer can't be completed: cut it off, so that nobody takes it for whole."""
        raise NotImplementedError

    def pause(self) -> None:
        """Stop reading the request's body until `resume`."""
        raise NotImplementedError

    def resume(self) -> None:
        raise NotImplementedError

    def done(self) -> None:
        """The exchange has ended; the connection goes on with what comes next."""
        raise NotImplementedError
