"""An event loop whose connections lead nowhere, and transports that keep count.

Timers, tasks and callbacks are real. What would be a listening socket is kept as the protocol
factory that it was given, what would be a connection to an upstream is a pair of fakes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from tests.support.fakes import FakeTransport


class Transport(FakeTransport):
    """Keeps the last thing written and how much it was in all: as cheap as a fake can be."""

    def __init__(self, address: tuple[str, int], local: tuple[str, int]) -> None:
        super().__init__(address)
        self.extra["sockname"] = local
        self.bytes = 0
        self.last = b""

    def write(self, data: bytes) -> None:
        self.bytes += len(data)
        self.last = data

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))


class Gathering(Transport):
    """Keeps all that was written since somebody looked."""

    def write(self, data: bytes) -> None:
        self.bytes += len(data)
        self.last += data


class Loop(asyncio.SelectorEventLoop):
    """``upstreams`` are the connections that were dialled, each with its protocol."""

    def __init__(self, transport: type[Transport] = Transport) -> None:
        super().__init__()
        self.transport = transport
        self.factories: list[Callable[[], Any]] = []
        self.upstreams: list[Transport] = []

    async def create_server(  # type: ignore[override]
        self, factory: Callable[[], Any], *address: Any, sock: socket.socket, **options: Any
    ) -> Any:
        self.factories.append(factory)
        sock.close()
        return _NoServer()

    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], Any], host: str = "", port: int = 0, **options: Any
    ) -> Any:
        transport = self.transport((host, port), ("127.0.0.1", 50_000 + len(self.upstreams)))
        self.upstreams.append(transport)
        transport.connect(factory())
        return transport, transport.protocol

    def turn(self) -> None:
        """Run what is due, once."""
        self.call_soon(self.stop)
        self.run_forever()


class _NoServer:
    def close(self) -> None:
        pass
