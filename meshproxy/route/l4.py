"""Which rule a connection falls under: by where it was going and which name its TLS asks for.

As Envoy matches filter chains: the most exact subnet is settled first, and within it the most exact
name; there is no way back from a subnet whose names do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeVar

from meshproxy.model.route import TcpRoute

T = TypeVar("T")
Network = IPv4Network | IPv6Network
L4Chooser = Callable[[str, str], T | None]
"""From an IP address and a name ("" for none) to a target."""

_ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class _Names:
    """The rules of one subnet by name; the first of a name counts."""

    def __init__(self) -> None:
        self._targets: dict[str, int] = {}

    def add(self, names: tuple[str, ...], at: int) -> None:
        for name in names or ("",):
            self._targets.setdefault(name.lower(), at)

    def find(self, name: str) -> int | None:
        """The name, else the longest ``*.suffix``, else what asks for no name."""
        found = self._targets.get(name)
        rest = name
        while found is None and (dot := rest.find(".", 1)) >= 0:
            rest = rest[dot:]
            found = self._targets.get("*" + rest)
        if found is None and name:
            found = self._targets.get("*")
        return self._targets.get("") if found is None else found


def compile_l4(rules: Sequence[TcpRoute], targets: Sequence[T]) -> L4Chooser[T]:
    """A function to the target of the rule that fits best; None where none does."""
    tables: dict[Network, _Names] = {}
    for at, rule in enumerate(rules):
        for network in _networks(rule):
            tables.setdefault(network, _Names()).add(rule.sni, at)
    narrowest = sorted(tables.items(), key=lambda item: -item[0].prefixlen)

    def choose(ip: str, name: str) -> T | None:
        address = ip_address(ip)
        for network, names in narrowest:
            if address in network:
                at = names.find(name)
                return None if at is None else targets[at]
        return None

    return choose


def _networks(rule: TcpRoute) -> tuple[Network, ...]:
    if not rule.subnets:
        return _ANYWHERE
    return tuple(ip_network(subnet, strict=False) for subnet in rule.subnets)


def reference_l4(rules: Sequence[TcpRoute], ip: str, name: str) -> int | None:
    """The index that `compile_l4` must choose, said plainly."""
    address = ip_address(ip)
    inside = [
        (network.prefixlen, at)
        for at, rule in enumerate(rules)
        for network in _networks(rule)
        if address in network
    ]
    longest = max((length for length, _ in inside), default=0)
    best: tuple[int, int] | None = None
    for length, at in inside:
        for pattern in rules[at].sni or ("",):
            score = _exactness(pattern.lower(), name)
            if length == longest and score >= 0 and (best is None or score > best[0]):
                best = (score, at)
    return None if best is None else best[1]


def _exactness(pattern: str, name: str) -> int:
    """-1: it does not fit."""
    if not pattern:
        return 0
    if pattern == name:
        return 1000
    wild = pattern.startswith("*") and len(name) >= len(pattern)
    return len(pattern) if wild and name.endswith(pattern[1:]) else -1
