"""Open one TCP connection, with a deadline and, where asked, from a given source address."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import TypeVar

from meshproxy.aio.transparent import make_transparent
from meshproxy.base.addr import ServerAddr
from meshproxy.base.errors import Kind, ProxyError, Retry

_MARK = 1337  # what our TPROXY rules know our own packets by (``--original-source``)
_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h

P = TypeVar("P", bound=asyncio.BaseProtocol)

_REFUSED = {
    errno.ECONNREFUSED: "connection refused",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
    errno.EADDRNOTAVAIL: "source address not available",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ECONNRESET: "connection reset",
    errno.ETIMEDOUT: "timed out",
    errno.EPERM: "not permitted: the client's address needs CAP_NET_RAW (since Linux 5.17)",
}


async def dial(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], P],
    address: ServerAddr,
    deadline: float,
    source: str = "",
    transparent: bool = False,
) -> P:
    """The protocol of an open connection; `ProxyError` without one.

    ``deadline`` is in seconds, 0 for none. ``transparent``: the source is not this host's address.
    """
    try:
        async with asyncio.timeout(deadline or None):
            if transparent:
                sock = await _connect_from(loop, address, source)
                _, protocol = await loop.create_connection(factory, sock=sock)
            else:
                local = (source, 0) if source else None
                _, protocol = await loop.create_connection(
                    factory, address.ip, address.port, local_addr=local
                )
            return protocol
    except TimeoutError:
        raise ProxyError(
            Kind.CONNECT_TIMEOUT, f"no connection within {deadline:g} s", retry=Retry.ALWAYS
        ) from None
    except OSError as error:
        reason = _REFUSED.get(error.errno or 0, error.strerror or "connection failed")
        raise ProxyError(
            Kind.CONNECT_FAILURE, f"delayed connect error: {reason}", retry=Retry.ALWAYS
        ) from None


async def _connect_from(
    loop: asyncio.AbstractEventLoop, address: ServerAddr, source: str
) -> socket.socket:
    """A socket connected from an address of somebody else; answers find their way by our mark.

    The port is chosen when connecting, so that each destination has all of them (ip(7)).
    """
    family = socket.AF_INET6 if address.is_v6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        make_transparent(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, _MARK)
        sock.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
        await loop.sock_connect(sock, (address.ip, address.port))
    except BaseException:
        sock.close()
        raise
    return sock
