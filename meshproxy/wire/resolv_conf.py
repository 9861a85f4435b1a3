"""What a host's files say about names: resolv.conf(5) and hosts(5)."""

from __future__ import annotations

from dataclasses import dataclass

from meshproxy.base.addr import ServerAddr, is_ip, parse_ip, parse_server

_LOCAL = (ServerAddr("127.0.0.1", 53),)  # where no server is named
_MOST_SERVERS = 3  # resolv.h: MAXNS
_MOST_DOMAINS = 32
_MOST_DOTS = 15  # resolv.h: RES_MAXNDOTS
_MOST_ATTEMPTS = 5  # resolv.h: RES_MAXRETRY
_LONGEST_TIMEOUT = 30  # resolv.h: RES_MAXRETRANS


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """``timeout``: seconds for one server and one try. ``dots``: names with as many are tried as
    they stand before they are tried in the search domains."""

    servers: tuple[ServerAddr, ...] = _LOCAL
    search: tuple[str, ...] = ()
    dots: int = 1
    timeout: float = 5.0
    attempts: int = 2


def parse_resolv_conf(text: str) -> ResolvConf:
    """What can't be understood is passed over, as the C library does."""
    servers: list[ServerAddr] = []
    search: tuple[str, ...] = ()
    options: dict[str, int] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        keyword, values = words[0], words[1:]
        if keyword == "nameserver" and values and is_ip(values[0]):
            server = parse_server(values[0])
            if server is not None and len(servers) < _MOST_SERVERS:
                servers.append(server)
        elif keyword in ("search", "domain"):  # the last one counts
            search = tuple(domain.strip(".").lower() for domain in values[:_MOST_DOMAINS])
        elif keyword == "options":
            for value in values:
                name, _, number = value.partition(":")
                if number.isascii() and number.isdecimal():
                    options[name] = int(number[:9])
    return ResolvConf(
        tuple(servers) or _LOCAL,
        tuple(domain for domain in search if domain),
        min(options.get("ndots", 1), _MOST_DOTS),
        float(min(max(options.get("timeout", 5), 1), _LONGEST_TIMEOUT)),
        min(max(options.get("attempts", 2), 1), _MOST_ATTEMPTS),
    )


def candidates(name: str, conf: ResolvConf) -> tuple[str, ...]:
    """The full names to ask for, in order."""
    if name.endswith("."):
        return (name.removesuffix("."),)
    searched = tuple(f"{name}.{domain}" for domain in conf.search)
    return (name, *searched) if name.count(".") >= conf.dots else (*searched, name)


def parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """Addresses by host name, in the order they stand."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words and is_ip(words[0]):
            for name in words[1:]:
                found.setdefault(name.lower().removesuffix("."), []).append(parse_ip(words[0]))
    return {name: tuple(dict.fromkeys(addresses)) for name, addresses in found.items()}
