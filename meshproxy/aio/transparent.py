"""Sockets with addresses that are not this host's, as TPROXY needs them on both sides."""

from __future__ import annotations

import socket

_IP_TRANSPARENT = 19  # linux/in.h
_IPV6_TRANSPARENT = 75  # linux/in6.h


def make_transparent(sock: socket.socket) -> None:
    """Let a socket have any address; ``PermissionError`` without CAP_NET_RAW or CAP_NET_ADMIN."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    else:
        sock.setsockopt(socket.SOL_IP, _IP_TRANSPARENT, 1)
