"""Chains of whole subnets: the longest prefix that a destination falls under decides.

Of equal subnets the first counts. A listener without subnets does without all of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import NamedTuple, TypeVar

from meshproxy.base.addr import Address

T = TypeVar("T")


class Subnet(NamedTuple):
    """``cidr`` is ``ADDRESS/LENGTH``."""

    cidr: str
    port: int


_MOST_REMEMBERED = 1024


def compile_subnets(chains: Iterable[tuple[Subnet, T]]) -> Callable[[Address], T | None]:
    """What finds the chain of a destination; answers are remembered, up to a number of them."""
    tables: dict[tuple[int, int], dict[int, dict[int, T]]] = {}
    for subnet, chain in chains:
        network = ip_network(subnet.cidr, strict=False)
        shift = network.max_prefixlen - network.prefixlen
        table = tables.setdefault((network.version, subnet.port), {})
        table.setdefault(shift, {}).setdefault(int(network.network_address) >> shift, chain)
    ordered = {key: sorted(table.items()) for key, table in tables.items()}
    remembered: dict[Address, T | None] = {}

    def find(destination: Address) -> T | None:
        if destination in remembered:
            return remembered[destination]
        found = search(destination)
        if len(remembered) < _MOST_REMEMBERED:
            remembered[destination] = found
        return found

    def search(destination: Address) -> T | None:
        ip = ip_address(destination.ip)
        number = int(ip)
        for shift, table in ordered.get((ip.version, destination.port), ()):
            if number >> shift in table:
                return table[number >> shift]
        return None

    return find


def reference_subnets(chains: Sequence[tuple[Subnet, T]], destination: Address) -> T | None:
    """The same, said plainly."""
    fitting = [
        (ip_network(subnet.cidr, strict=False).prefixlen, -at, chain)
        for at, (subnet, chain) in enumerate(chains)
        if subnet.port == destination.port
        and ip_address(destination.ip) in ip_network(subnet.cidr, strict=False)
    ]
    return max(fitting, key=lambda each: each[:2])[2] if fitting else None
