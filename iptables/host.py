"""Reading the facts of the host: addresses, resolvers, users, capabilities."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import Final

from iptables import facts
from iptables.options import Facts, Options

RESOLV_CONF: Final = Path("/etc/resolv.conf")
# Of the calling thread: --network-namespace moves this thread alone.
IF_INET6: Final = Path("/proc/thread-self/net/if_inet6")
STATUS: Final = Path("/proc/self/status")


class UserDatabase:
    """Names as numbers, by the C library (files, or whatever the image has set up)."""

    def user(self, name: str) -> int | None:
        """The uid of a user, or `None`."""
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            return None

    def group(self, name: str) -> int | None:
        """The gid of a group, or `None`."""
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return None


def read(path: Path) -> str:
    """A file's text; empty where it is missing, as without IPv6 in the kernel."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def learn(options: Options) -> Facts:
    """What the rules depend on. Resolvers are read only where rules name them."""
    wants_resolvers = options.redirect_dns and not options.capture_all_dns
    v4, v6 = facts.resolvers(read(RESOLV_CONF)) if wants_resolvers else ((), ())
    return Facts(bool(facts.ipv6_addresses(read(IF_INET6))), v4, v6)


def has_address(address: str, interface: str) -> bool:
    """Whether an interface of this namespace has an IPv6 address."""
    return facts.has_address(read(IF_INET6), address, interface)


def missing_capabilities(raw_too: bool) -> tuple[str, ...]:
    """Which of the needed capabilities this process lacks."""
    return facts.missing_capabilities(read(STATUS), raw_too)


def user_id() -> int:
    """The effective uid of this process."""
    return os.geteuid()
