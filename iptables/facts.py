"""What files of the host say about it. Pure: text in, values out."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from typing import Final

# Bits in CapEff (linux/capability.h).
NET_ADMIN: Final = 12
NET_RAW: Final = 13

# Scopes in /proc/net/if_inet6 (linux/ipv6.h): an address of the host or the link says nothing.
_GLOBAL: Final = 0x00
_SITE: Final = 0x40


def ipv6_addresses(if_inet6: str) -> tuple[str, ...]:
    """Addresses on real interfaces that others can reach, from /proc/net/if_inet6."""
    found: list[str] = []
    for line in if_inet6.splitlines():
        fields = line.split()
        if len(fields) == 6 and fields[5] != "lo" and int(fields[3], 16) in (_GLOBAL, _SITE):
            found.append(str(ip_address(bytes.fromhex(fields[0]))))
    return tuple(found)


def has_address(if_inet6: str, address: str, interface: str) -> bool:
    """Whether an interface has an IPv6 address, whatever its scope."""
    packed = ip_address(address).packed.hex()
    return any(
        line.split()[0] == packed and line.split()[-1] == interface
        for line in if_inet6.splitlines()
        if line.strip()
    )


def resolvers(resolv_conf: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The IPv4 and the IPv6 resolvers of resolv.conf, in order.

    An address with a zone (`fe80::1%eth0`) can't stand in a rule and is left out.
    """
    v4: list[str] = []
    v6: list[str] = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver" or "%" in words[1]:
            continue
        try:
            address = ip_address(words[1])
        except ValueError:
            continue
        (v4 if isinstance(address, IPv4Address) else v6).append(words[1])
    return tuple(v4), tuple(v6)


def missing_capabilities(status: str, raw_too: bool) -> tuple[str, ...]:
    """Which capabilities this process lacks, from /proc/self/status.

    iptables-legacy talks to the kernel through a raw socket; the others don't.
    """
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            bits = int(line.split()[1], 16)
            needed = [("NET_ADMIN", NET_ADMIN)] + [("NET_RAW", NET_RAW)] * raw_too
            return tuple(name for name, bit in needed if not bits >> bit & 1)
    return ()
