"""Binding: made once, in the supervisor; workers get the open sockets handed to them."""

from __future__ import annotations

import errno
import os
import socket

from meshproxy.aio.transparent import make_transparent

BACKLOG = 4096


class BindError(Exception):
    """A port could not be opened; the text is a sentence for people."""


def listen_on(ip: str, port: int, transparent: bool = False) -> socket.socket:
    """A non-blocking listening TCP socket. IPv6 sockets take IPv6 alone. Raises `BindError`.

    ``transparent``: it takes connections to any address, which TPROXY rules bring here.
    """
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transparent:
            make_transparent(sock)
        sock.bind((ip, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise BindError(_explain(ip, port, error)) from None
    return sock


def _explain(ip: str, port: int, error: OSError) -> str:
    where = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"cannot listen on {where}: another program has this port; end it or choose another"
            )
        case errno.EPERM:
            return (
                f"cannot listen on {where} for TPROXY: that needs CAP_NET_RAW (since Linux 5.17) "
                "or CAP_NET_ADMIN"
            )
        case errno.EACCES:
            return f"cannot listen on {where}: ports under 1024 need CAP_NET_BIND_SERVICE"
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {where}: this host does not have that address"
    return f"cannot listen on {where}: {os.strerror(error.errno or 0)}"


def host_has_ipv6() -> bool:
    """Whether IPv6 sockets can be bound here at all."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def host_addresses() -> frozenset[str]:
    """The addresses of this host's interfaces, loopback left out; read from the kernel's tables."""
    found: set[str] = set()
    try:
        with open("/proc/net/fib_trie", encoding="ascii") as table:
            previous = ""
            for line in table:
                if "/32 host LOCAL" in line:
                    found.add(previous)
                previous = line.strip().removeprefix("|-- ")
        with open("/proc/net/if_inet6", encoding="ascii") as table:
            found.update(
                socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line.split()[0])) for line in table
            )
    except OSError:
        pass
    return frozenset(ip for ip in found if not ip.startswith("127.") and ip not in ("::1", "::6"))
