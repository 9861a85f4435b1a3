"""DNS messages as far as looking up a host's addresses takes them (RFC 1035 4, RFC 3596).

A question has one name and one type; of an answer the addresses count that the name leads to, by
way of aliases (CNAME). What does not answer the question that was asked is an error: a forged or
stray message must not be believed.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from ipaddress import ip_address
from typing import NamedTuple

from meshproxy.base.addr import parse_ip

_HEAD = struct.Struct("!6H")  # id, flags, and four counts
_PAIR = struct.Struct("!2H")
_RECORD = struct.Struct("!2HIH")  # type, class, TTL, length
_ANSWER = 0x8000
_TRUNCATED = 0x0200
_RECURSION_DESIRED = 0x0100
_INTERNET = 1
_CNAME = 5
_MOST_LABELS = 128  # a name has at most 255 bytes
_LONGEST_NAME = 255
_MOST_ALIASES = 16
_MOST_RECORDS = 2048  # more than fit in what a sensible server sends
_LONGEST_TTL = 2**31 - 1  # RFC 2181 8: what is larger counts as 0


class Family(IntEnum):
    """The record types of addresses."""

    A = 1
    AAAA = 28


_SIZES = {Family.A: 4, Family.AAAA: 16}


class DnsError(ValueError):
    """A message that is no answer to the question."""


class Reply(NamedTuple):
    """``code`` is the RCODE: 0 without addresses is a name that has none. ``ttl``: seconds."""

    code: int
    addresses: tuple[str, ...] = ()
    ttl: int = 0
    truncated: bool = False


RCODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
NXDOMAIN = 3


def encode_question(number: int, name: str, family: Family) -> bytes:
    """A query for the addresses of a name, to a server that looks further itself.

    Raises `DnsError` for what is no name.
    """
    head = _HEAD.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0)
    return head + _encode_name(name) + _PAIR.pack(family, _INTERNET)


def _encode_name(name: str) -> bytes:
    encoded = b""
    for label in name.removesuffix(".").split("."):
        if not label.isascii() or not 1 <= len(label) <= 63:
            raise DnsError(f"{name!r} is not a name")
        encoded += bytes((len(label),)) + label.encode()
    if len(encoded) + 1 > _LONGEST_NAME:
        raise DnsError(f"{name!r} is too long")
    return encoded + b"\0"


def read_reply(data: bytes, number: int, name: str, family: Family) -> Reply:
    """What a message says to that question. Raises `DnsError` if it is no answer to it."""
    try:
        return _read(data, number, name.removesuffix(".").lower(), family)
    except (struct.error, IndexError):
        raise DnsError("the message ends too early") from None


def _read(data: bytes, number: int, name: str, family: Family) -> Reply:
    found, flags, questions, answers, _, _ = _HEAD.unpack_from(data)
    if found != number or not flags & _ANSWER or questions != 1:
        raise DnsError("not an answer to the question that was asked")
    asked, at = _read_name(data, _HEAD.size)
    if asked != name or _PAIR.unpack_from(data, at) != (family, _INTERNET):
        raise DnsError("not an answer to the question that was asked")
    code = flags & 15
    if flags & _TRUNCATED:
        return Reply(code, truncated=True)
    if code:
        return Reply(code)
    return _follow(_read_records(data, at + _PAIR.size, answers, family), name)


class _Records(NamedTuple):
    """By owner: aliases and addresses, each with its TTL."""

    aliases: dict[str, tuple[str, int]]
    addresses: dict[str, list[tuple[str, int]]]


def _read_records(data: bytes, at: int, count: int, family: Family) -> _Records:
    records = _Records({}, {})
    for _ in range(min(count, _MOST_RECORDS)):
        owner, at = _read_name(data, at)
        type_, class_, ttl, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        end = at + length
        if end > len(data):
            raise DnsError("the message ends too early")
        ttl = ttl if ttl <= _LONGEST_TTL else 0
        if class_ == _INTERNET and type_ == _CNAME:
            records.aliases[owner] = (_read_name(data, at)[0], ttl)
        elif class_ == _INTERNET and type_ == family:
            records.addresses.setdefault(owner, []).append((_address(data[at:end], family), ttl))
        at = end
    return records


def _address(data: bytes, family: Family) -> str:
    if len(data) != _SIZES[family]:
        raise DnsError("an address of the wrong length")
    return parse_ip(str(ip_address(data)))


def _follow(records: _Records, name: str) -> Reply:
    """The addresses at the end of the aliases; all that led there is no fresher than its oldest."""
    ttls: list[int] = []
    for _ in range(_MOST_ALIASES):
        if name in records.addresses:
            found = records.addresses[name]
            ttls += [ttl for _, ttl in found]
            return Reply(0, tuple(dict.fromkeys(ip for ip, _ in found)), min(ttls))
        if name not in records.aliases:
            return Reply(0)
        name, ttl = records.aliases[name]
        ttls.append(ttl)
    raise DnsError("too many aliases")


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    """A name in lower case, and where what follows it begins."""
    labels: list[str] = []
    after = 0
    before = at  # a pointer has to lead further back each time, so that none leads round in rings
    size = 0
    while (length := data[at]) != 0:
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | data[at + 1]
            after = after or at + 2
            if target >= before:
                raise DnsError("a compressed name that leads nowhere")
            before = at = target
            continue
        size += length + 1
        if length > 63 or len(labels) >= _MOST_LABELS or size > _LONGEST_NAME:
            raise DnsError("a name that is too long")
        label = data[at + 1 : at + 1 + length]
        if len(label) < length:
            raise DnsError("the message ends too early")
        labels.append(label.decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels), after or at + 1
