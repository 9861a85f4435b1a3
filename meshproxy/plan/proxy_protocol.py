"""On which ports, and from whom, a connection begins by saying whose it is (PROXY protocol)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from ipaddress import ip_address, ip_network

from meshproxy.model.settings import ProxyProtocol


class Expected(Enum):
    """What a connection begins with. ``REFUSED``: nobody may come in like that."""

    NOTHING = "nothing"
    OPTIONAL = "optional"
    REQUIRED = "required"
    REFUSED = "refused"


Expect = Callable[[int, str], Expected]
"""By the port that a connection was going to, and the address that it comes from."""


def compile_proxy_protocol(settings: ProxyProtocol) -> Expect | None:
    """None where no port takes it."""
    if not settings.required and not settings.optional:
        return None
    required = frozenset(settings.required)
    optional = frozenset(settings.optional)
    networks = [ip_network(cidr, strict=False) for cidr in settings.trusted]

    def expect(port: int, ip: str) -> Expected:
        if port not in required and port not in optional:
            return Expected.NOTHING
        if any(ip_address(ip) in network for network in networks):
            return Expected.REQUIRED if port in required else Expected.OPTIONAL
        return Expected.REFUSED if port in required else Expected.NOTHING

    return expect
