"""The first bytes of a connection of ours, before TLS and before any request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Announce(asyncio.Protocol):
    """Writes ``header`` once connected, and hands the connection to ``protocol``, which `factory`
    makes then."""

    def __init__(self, header: bytes, factory: Callable[[], Any]) -> None:
        self._header = header
        self._factory = factory
        self.protocol: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.write(self._header)
        self.protocol = self._factory()
        transport.set_protocol(self.protocol)
        self.protocol.connection_made(transport)
