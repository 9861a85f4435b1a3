"""Keep-alive probes of the system on a connection of ours (DestinationRule `tcpKeepalive`)."""

from __future__ import annotations

import socket
from typing import Any

from meshproxy.model.cluster import Keepalive


def keep_alive(protocol: Any, settings: Keepalive) -> None:
    """Ask for probes on the connection whose protocol this is."""
    sock = protocol.transport.get_extra_info("socket")
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPCNT, settings.probes),
        (socket.TCP_KEEPIDLE, settings.idle),
        (socket.TCP_KEEPINTVL, settings.interval),
    ):
        if value:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
