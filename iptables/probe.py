"""A real connection through the rules: does it arrive where it should?

The sidecar's own user connects to 127.0.0.6 (and ::6) on a port where nothing listens. The rules
take this for an app that calls itself, so it must arrive at the inbound port, and the kernel must
still know where it was meant to go. That takes a chain, a redirect, an owner match and connection
tracking: everything but what needs another user or another host.

A sidecar can ask this of itself with `captured`, given its own listening sockets.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from iptables.rules.rule import Family

# linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h.
SO_ORIGINAL_DST: Final = 80


@dataclass(frozen=True, slots=True)
class Ends:
    """The addresses of one family's probe."""

    number: int
    name: str
    target: str
    listen: str
    # Towards ::6, the kernel would choose ::6 itself as the source, and the rules exempt that.
    source: str


ENDS: Final = {
    Family.V4: Ends(socket.AF_INET, "IPv4", "127.0.0.6", "127.0.0.1", "127.0.0.1"),
    Family.V6: Ends(socket.AF_INET6, "IPv6", "::6", "::1", "::1"),
}


def probe(family: Family, inbound_port: int, probe_port: int, timeout: float) -> str:
    """Listen, connect and compare. What is wrong, in a sentence; empty if all is well."""
    ends = ENDS[family]
    try:
        listener = socket.create_server((ends.listen, inbound_port), family=ends.number)
    except OSError as err:
        where = f"{ends.name}: the self-test can't listen on port {inbound_port}"
        return f"{where}: {err.strerror or err}."
    with listener:
        listener.settimeout(timeout)
        return captured(family, probe_port, timeout, lambda: listener.accept()[0])


def captured(
    family: Family, probe_port: int, timeout: float, accept: Callable[[], socket.socket]
) -> str:
    """Connect, and look at the connection that `accept` returns; the sentence as in `probe`."""
    ends = ENDS[family]
    goal = f"{ends.name}: the connection to {ends.target} port {probe_port}"
    try:
        client = socket.create_connection(
            (ends.target, probe_port), timeout, source_address=(ends.source, 0)
        )
    except OSError as err:
        return f"{goal} was not captured: {err.strerror or err}."
    with client:
        try:
            accepted = accept()
        except OSError:
            return f"{goal} was made, and did not arrive at the inbound port."
        with accepted:
            return _compare(ends, goal, original_destination(accepted), probe_port)


def _compare(ends: Ends, goal: str, found: tuple[str, int] | None, probe_port: int) -> str:
    if found == (ends.target, probe_port):
        return ""
    if found is None:
        return f"{goal} arrived without its original destination."
    return f"{goal} arrived as one to {found[0]} port {found[1]}."


def original_destination(connection: socket.socket) -> tuple[str, int] | None:
    """Where a redirected connection was meant to go; `None` if the kernel does not know."""
    try:
        if connection.family == socket.AF_INET6:
            raw = connection.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
            return socket.inet_ntop(socket.AF_INET6, raw[8:24]), int.from_bytes(raw[2:4])
        raw = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
        return socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4])
    except OSError:
        return None
