"""The PROXY protocol, versions 1 and 2: what a proxy says first of the connection it passes on.

The rules are those of HAProxy's doc/proxy-protocol.txt; sections are named where one decides. What
a header says is believed as a whole or not at all: what breaks a rule is `WireError`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from meshproxy.base.addr import Address, parse_ip
from meshproxy.wire.crc32c import crc32c
from meshproxy.wire.errors import WireError

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_LONGEST_V1 = 107  # section 2.1, with its end of line
_HEAD = 16  # of version 2: signature, version and command, family, length
_LONGEST_V2 = 16 * 1024  # HAProxy: tune.bufsize, which a header has to fit in
_LOCAL, _PROXY = 0x20, 0x21  # version and command
_TCP4, _TCP6 = 0x11, 0x21
# Bytes of both addresses and ports, by family and transport (section 2.2).
_SIZES = {0x00: 0, _TCP4: 12, 0x12: 12, _TCP6: 36, 0x22: 36, 0x31: 216, 0x32: 216}
_CRC32C = 0x03
_LARGEST_PORT = 65535


class Ends(NamedTuple):
    """Both ends of the connection that a proxy has taken."""

    source: Address
    destination: Address


class ProxyHeaderReader:
    """Fed with what a connection begins with until it is ``done``.

    Then ``ends`` are what was told: None where the proxy speaks for itself (LOCAL), or of something
    that is not TCP over IP. ``rest`` came behind the header. With ``optional``, what does not begin
    as a header does is ``done`` as well, all of it in ``rest``. At most one header is kept.
    """

    def __init__(self, optional: bool = False) -> None:
        self.done = False
        self.ends: Ends | None = None
        self.rest = b""
        self._optional = optional
        self._data = b""

    def feed(self, data: bytes) -> bool:
        """Whether it is done. `WireError`: what came is no header, or a broken one."""
        self._data += data
        found = self._data
        if found.startswith(_V1):
            self._read_v1(found)
        elif found.startswith(_V2):
            self._read_v2(found)
        elif not _V1.startswith(found) and not _V2.startswith(found):
            if not self._optional:
                raise WireError("no PROXY protocol header")
            self._finish(None, 0)
        return self.done

    def give_up(self) -> None:
        """No more is waited for: what came is no header. `WireError` where there must be one."""
        if not self._optional or self._data.startswith((_V1, _V2)):
            raise WireError("no whole PROXY protocol header in time")
        self._finish(None, 0)

    def _finish(self, ends: Ends | None, size: int) -> None:
        self.done = True
        self.ends = ends
        self.rest, self._data = self._data[size:], b""

    def _read_v1(self, data: bytes) -> None:
        end = data.find(b"\r", 0, _LONGEST_V1 - 1)
        if end < 0:
            if len(data) >= _LONGEST_V1 - 1:
                raise WireError("a PROXY line longer than 107 bytes")
        elif data[end : end + 2] == b"\r\n":
            self._finish(_read_line(data[:end]), end + 2)
        elif end + 1 < len(data):
            raise WireError("a PROXY line that does not end as it must")

    def _read_v2(self, data: bytes) -> None:
        """Each field is judged as soon as it is there, so that nobody waits for more."""
        if len(data) > 12 and data[12] not in (_LOCAL, _PROXY):
            raise WireError("a PROXY header of an unknown version or command")
        if len(data) < _HEAD:
            return
        size = _HEAD + int.from_bytes(data[14:_HEAD], "big")
        if size > _LONGEST_V2:
            raise WireError("a PROXY header longer than 16 KiB")
        local = data[12] == _LOCAL
        if not local and data[13] not in _SIZES:
            raise WireError("a PROXY header of an unknown family or transport")
        if len(data) >= size:
            self._finish(None if local else _read_block(data[:size]), size)


def _read_line(line: bytes) -> Ends | None:
    """Section 2.1, without the end of line."""
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        return None  # whatever follows
    if words[1] not in (b"TCP4", b"TCP6") or len(words) != 6:
        raise WireError("a PROXY line that can't be understood")
    family = IPv6Address if words[1] == b"TCP6" else IPv4Address
    source, destination, source_port, destination_port = words[2:]
    return Ends(
        Address(_read_ip(family, source), _read_port(source_port)),
        Address(_read_ip(family, destination), _read_port(destination_port)),
    )


def _read_ip(family: type[IPv4Address] | type[IPv6Address], text: bytes) -> str:
    try:
        if b"%" in text:
            raise ValueError("a zone means nothing to others")
        return parse_ip(str(family(text.decode("ascii"))))
    except ValueError:
        raise WireError("a PROXY line with a wrong address") from None


def _read_port(text: bytes) -> int:
    if text.isdigit() and len(text) <= 5 and (text == b"0" or not text.startswith(b"0")):
        port = int(text)
        if port <= _LARGEST_PORT:
            return port
    raise WireError("a PROXY line with a wrong port")


def _read_block(header: bytes) -> Ends | None:
    """Section 2.2, with the command PROXY."""
    kind = header[13]
    if not kind:
        return None  # UNSPEC: nothing is known of what follows
    size = _SIZES[kind]
    block = header[_HEAD:]
    if len(block) < size:
        raise WireError("a PROXY header too short for its addresses")
    _check_more(header, _HEAD + size)
    if kind not in (_TCP4, _TCP6):
        return None
    width = 4 if kind == _TCP4 else 16
    ips = [parse_ip(str(ip_address(block[at : at + width]))) for at in (0, width)]
    ports = [int.from_bytes(block[at : at + 2], "big") for at in (2 * width, 2 * width + 2)]
    return Ends(Address(ips[0], ports[0]), Address(ips[1], ports[1]))


def _check_more(header: bytes, at: int) -> None:
    """Type, length and value, again and again: skipped, but for the checksum of the whole."""
    summed = False
    while at < len(header):
        kind, start = header[at], at + 3
        end = start + int.from_bytes(header[at + 1 : start], "big")
        if start > len(header) or end > len(header):
            raise WireError("a PROXY header whose fields don't fit in it")
        if kind == _CRC32C:
            if summed or end - start != 4:
                raise WireError("a PROXY header with a wrong checksum field")
            summed = True
            whole = header[:start] + bytes(4) + header[end:]
            if crc32c(whole) != int.from_bytes(header[start:end], "big"):
                raise WireError("a PROXY header with a wrong checksum")
        at = end


def write_header(version: int, ends: Ends) -> bytes:
    """What to say first. Addresses of two families are both told as IPv6 (section 2.1: HAProxy
    does the same); where one is missing, that nothing is known."""
    source, destination = ends
    if not source.ip or not destination.ip:
        return b"PROXY UNKNOWN\r\n" if version == 1 else _V2 + bytes((_LOCAL, 0, 0, 0))
    is_v6 = source.is_v6 or destination.is_v6
    ips = [_as_v6(each.ip) if is_v6 else each.ip for each in ends]
    if version == 1:
        family = "TCP6" if is_v6 else "TCP4"
        return f"PROXY {family} {ips[0]} {ips[1]} {source.port} {destination.port}\r\n".encode()
    block = b"".join(ip_address(ip).packed for ip in ips)
    block += source.port.to_bytes(2, "big") + destination.port.to_bytes(2, "big")
    family_byte = _TCP6 if is_v6 else _TCP4
    return _V2 + bytes((_PROXY, family_byte)) + len(block).to_bytes(2, "big") + block


def _as_v6(ip: str) -> str:
    return ip if ":" in ip else f"::ffff:{ip}"
