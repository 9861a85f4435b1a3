"""Ending a connection so that the other end notices that it was not the regular end."""

from __future__ import annotations

import asyncio
import socket
import struct

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time: closing sends RST


def reset(transport: asyncio.Transport) -> None:
    """Close with RST, so that the other end sees what this end saw."""
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
