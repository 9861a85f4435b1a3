"""Who waits for a connection, and who for names: requests, and what stands in front of them."""

from __future__ import annotations

from typing import Protocol

from meshproxy.base.errors import ProxyError
from meshproxy.upstream.stream import UpstreamStream


class Waiter(Protocol):
    """Who wants a stream and has to wait for it."""

    def on_stream(self, stream: UpstreamStream) -> bool:
        """Take the stream; False if it is not wanted any more."""
        ...

    def on_dial_error(self, error: ProxyError) -> None: ...


class Asker(Protocol):
    """Who wants an endpoint, and may have to wait until its name is known."""

    def on_names(self) -> None:
        """Ask again."""
        ...

    def on_dial_error(self, error: ProxyError) -> None:
        """Give up, for that reason."""
        ...
