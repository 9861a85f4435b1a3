"""Texts of flags and variables as values. Each function raises `BadValue` with what is wrong.

What a message says completes the sentence "--some-flag: ...".
"""

from __future__ import annotations

import re
from ipaddress import ip_interface
from typing import Final

from iptables.options import Cidr

TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE: Final = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})
LAST_PORT: Final = 65535
LAST_ID: Final = 2**32 - 2  # the largest uid; the next one means "no user"
LONGEST_INTERFACE: Final = 15  # IFNAMSIZ without its end (linux/if.h)

# Go's durations: numbers with units, added up.
UNITS: Final = {
    "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9,
}  # fmt: skip
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")
_RANGE: Final = re.compile(r"(\d+)-(\d+)")
_PREFIX: Final = re.compile(r"[0-9A-Fa-f:.]+/\d{1,3}")


class BadValue(ValueError):
    """A text that can't be used; its message says why."""


def items(text: str) -> tuple[str, ...]:
    """A comma-separated list; empty elements are dropped, blanks kept."""
    return tuple(item for item in text.split(",") if item)


def number(text: str, least: int, most: int, what: str) -> int:
    """A decimal number in a range."""
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise BadValue(f"{text!r} is not {what} ({least} to {most})")
    return int(text)


def port(text: str) -> int:
    """A TCP or UDP port."""
    return number(text, 1, LAST_PORT, "a port")


def switch(text: str) -> bool:
    """A boolean in any of Go's spellings; an empty variable is off."""
    if text not in TRUE | FALSE:
        raise BadValue(f"{text!r} is neither true nor false")
    return text in TRUE


def duration(text: str) -> float:
    """Seconds, from Go's spelling (`5s`, `1m30s`, `500ms`)."""
    parts = _PART.findall(text)
    if not parts or "".join(digits + unit for digits, unit in parts) != text:
        raise BadValue(f"{text!r} is not a duration such as 5s or 500ms")
    seconds = sum(float(digits) * UNITS[unit] for digits, unit in parts)
    if not seconds:
        raise BadValue("a duration of nothing leaves no time to try")
    return seconds


def cidr(text: str) -> Cidr:
    """An address range. Istio asks for the mask too: without it, a typo can't be told."""
    if not _PREFIX.fullmatch(text):
        raise BadValue(f"{text!r} is not an address range such as 10.0.0.0/8 or 2001:db8::/32")
    try:
        return ip_interface(text)
    except ValueError as err:
        raise BadValue(f"{text!r} is not an address range ({err})") from None


def loopback_cidr(text: str) -> str:
    """An IPv4 range that starts in 127.0.0.0/8 and is no wider."""
    value = cidr(text)
    if value.version != 4 or not value.ip.is_loopback or value.network.prefixlen < 8:
        raise BadValue(f"{text!r} is not a range of IPv4 loopback with a mask from 8 to 32")
    return value.with_prefixlen


def interface(text: str) -> str:
    """An interface's name; a `+` at its end stands for any rest."""
    if len(text) > LONGEST_INTERFACE or not text.isprintable() or set(text) & set(' /"*{};'):
        raise BadValue(f"{text!r} is not an interface's name")
    return text


def mark(text: str) -> int:
    """A packet mark; 0 is what every unmarked packet has."""
    if text.lower().startswith("0x"):
        try:
            text = str(int(text, 16))
        except ValueError:
            raise BadValue(f"{text!r} is not a packet mark") from None
    return number(text, 1, 2**32 - 1, "a packet mark")


def route_table(text: str) -> int:
    """A routing table that is not one of the kernel's own."""
    value = number(text, 1, 2**32 - 1, "a routing table")
    if value in (253, 254, 255):
        raise BadValue(f"{text!r} is one of the kernel's own routing tables (253 to 255)")
    return value


def is_id(text: str) -> bool:
    """Whether an owner is a number, or a range of numbers, and not a name."""
    found = _RANGE.fullmatch(text)
    ids = found.groups() if found else (text,)
    return all(each.isascii() and each.isdigit() for each in ids)


def owner(text: str) -> str:
    """A uid or gid, a range of them, or a name (which is looked up elsewhere)."""
    if is_id(text):
        first, _, last = text.partition("-")
        low, high = (number(each, 0, LAST_ID, "an owner's id") for each in (first, last or first))
        if low > high:
            raise BadValue(f"{text!r} is a range that ends before it begins")
    elif not re.fullmatch(r"[A-Za-z0-9_.@\\-]+\$?", text) or text.startswith("-"):
        raise BadValue(f"{text!r} is neither an id nor a name")
    return text
