"""Where a redirected connection was going, as connection tracking remembers it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from meshproxy.base.addr import Address, OriginalDst
from meshproxy.serve.serving import address_of

_SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h; the IPv6 option has the same number
_SIZE_V4 = 16
_SIZE_V6 = 28


def original_destination(transport: asyncio.Transport) -> Address | None:
    """The address before REDIRECT; None for a connection that was made straight to our port.

    Without address translation in this namespace the kernel knows nothing (ENOENT); with it, a
    straight connection's destination is the listening socket's own address. Both would send a
    passed-through connection back to ourselves.
    """
    sock = transport.get_extra_info("socket")
    own = address_of(transport.get_extra_info("sockname"))
    try:
        if sock.family == socket.AF_INET6:
            raw = sock.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, _SIZE_V6)
            found = OriginalDst(
                socket.inet_ntop(socket.AF_INET6, raw[8:24]), int.from_bytes(raw[2:4], "big")
            )
        else:
            raw = sock.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, _SIZE_V4)
            found = OriginalDst(
                socket.inet_ntop(socket.AF_INET, raw[4:8]), int.from_bytes(raw[2:4], "big")
            )
    except OSError:
        return None
    return None if found == own else found


def transparent_destination(port: int) -> Callable[[asyncio.Transport], Address | None]:
    """The same for a port of ours that TPROXY rules bring connections to.

    The kernel leaves their destination as it was. Connections from this host, such as the app's to
    its own service, are redirected all the same (Istio's rules have no TPROXY on the way out).
    """

    def find(transport: asyncio.Transport) -> Address | None:
        own = address_of(transport.get_extra_info("sockname"))
        return OriginalDst(*own) if own.port != port else original_destination(transport)

    return find
