"""Addresses, each role with a type of its own, so that they can't be swapped by accident.

A bare ``(host, port)`` never travels through the program: what a variable's name would have to
say ("is this the client's, or where it wanted to go?") the type says.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Address(NamedTuple):
    """An IP address in its canonical spelling, and a TCP port (0-65535)."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def is_v6(self) -> bool:
        return ":" in self.ip


class ClientAddr(Address):
    """Where a downstream connection came from."""

    __slots__ = ()


class ServerAddr(Address):
    """Where an upstream connection goes to."""

    __slots__ = ()


class OriginalDst(Address):
    """Where a captured connection was going before the redirect rules turned it."""

    __slots__ = ()


def parse_ip(text: str) -> str:
    """Return the canonical spelling of an IP address; IPv4 mapped into IPv6 comes back as IPv4.

    Raises ``ValueError`` for anything that is not one address.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def is_ip(text: str) -> bool:
    """Whether the text is one IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_DNS_PORT = 53


def split_servers(text: str) -> list[str]:
    """Name servers as a list by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_server(text: str) -> ServerAddr | None:
    """A name server, ``IP``, ``IP:PORT`` or ``[IPv6]:PORT``; None for anything else."""
    if is_ip(text):
        return ServerAddr(parse_ip(text), _DNS_PORT)
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return None
    if not is_ip(host) or not port.isascii() or not port.isdecimal() or len(port) > 5:
        return None
    number = int(port)
    return ServerAddr(parse_ip(host), number) if 1 <= number <= 65535 else None
