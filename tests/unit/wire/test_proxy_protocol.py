"""The PROXY protocol: what is written is read, cut anywhere; what breaks a rule is refused."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshproxy.base.addr import Address, parse_ip
from meshproxy.wire.crc32c import crc32c
from meshproxy.wire.errors import WireError
from meshproxy.wire.proxy_protocol import Ends, ProxyHeaderReader, write_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = Ends(Address("203.0.113.7", 51000), Address("10.0.0.1", 80))
V6 = Ends(Address("2001:db8::7", 51000), Address("fd00::1", 80))
V4_BLOCK = bytes((203, 0, 113, 7, 10, 0, 0, 1)) + (51000).to_bytes(2, "big") + b"\x00\x50"


def read(data: bytes, optional: bool = False) -> tuple[Ends | None, bytes]:
    reader = ProxyHeaderReader(optional)
    assert reader.feed(data)
    return reader.ends, reader.rest


def v2(block: bytes, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + bytes((command, family)) + len(block).to_bytes(2, "big") + block


def field(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + len(value).to_bytes(2, "big") + value


def summed(before: bytes = b"", after: bytes = b"") -> bytes:
    """A header with a checksum between other fields."""
    block = V4_BLOCK + before
    empty = v2(block + field(3, bytes(4)) + after)
    return v2(block + field(3, crc32c(empty).to_bytes(4, "big")) + after)


_IPS = st.one_of(
    st.builds(str, st.builds(IPv4Address, st.integers(0, 2**32 - 1))),
    st.builds(str, st.builds(IPv6Address, st.integers(0, 2**128 - 1))),
).map(parse_ip)
_ADDRESSES = st.builds(Address, _IPS, st.integers(0, 65535))
_ENDS = st.builds(Ends, _ADDRESSES, _ADDRESSES)


def test_the_checksum() -> None:
    """RFC 3720 appendix B.4 and the catalogue's check value."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


@given(_ENDS, st.sampled_from((1, 2)), st.binary(max_size=40), st.data())
def test_what_is_written_is_read_however_it_is_cut(
    ends: Ends, version: int, rest: bytes, data: st.DataObject
) -> None:
    whole = write_header(version, ends) + rest
    assert read(whole) == (ends, rest)
    cut = data.draw(st.integers(0, len(whole) - len(rest) - 1))
    reader = ProxyHeaderReader()
    assert not reader.feed(whole[:cut])
    assert reader.feed(whole[cut:])
    assert (reader.ends, reader.rest) == (ends, rest)


@pytest.mark.parametrize("version", [1, 2])
def test_byte_by_byte(version: int) -> None:
    whole = write_header(version, V6)
    reader = ProxyHeaderReader(optional=True)
    assert [reader.feed(whole[at : at + 1]) for at in range(len(whole))].index(True) == (
        len(whole) - 1
    )
    assert reader.ends == V6


def test_the_forms() -> None:
    assert write_header(1, V4) == b"PROXY TCP4 203.0.113.7 10.0.0.1 51000 80\r\n"
    assert write_header(1, V6) == b"PROXY TCP6 2001:db8::7 fd00::1 51000 80\r\n"
    assert write_header(2, V4) == v2(V4_BLOCK)
    mixed = Ends(V4.source, V6.destination)
    assert write_header(1, mixed) == b"PROXY TCP6 ::ffff:203.0.113.7 fd00::1 51000 80\r\n"
    nobody = Ends(Address("", 0), V4.destination)
    assert write_header(1, nobody) == b"PROXY UNKNOWN\r\n"
    assert write_header(2, nobody) == v2(b"", 0x20, 0)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff:f...f:ffff ffff 65535 65535\r\n",
        v2(b"", 0x20, 0),
        v2(V4_BLOCK, 0x20),
        v2(b"\x01\x02", 0x20, 0xFF),
        v2(b"", 0x21, 0x00),
        v2(b"whatever", 0x21, 0x00),
        v2(V4_BLOCK, 0x21, 0x12),
        v2(bytes(36), 0x21, 0x22),
        v2(bytes(216), 0x21, 0x31),
        v2(bytes(216), 0x21, 0x32),
    ],
)
def test_nothing_is_told(header: bytes) -> None:
    """By the proxy itself, of something unknown, of datagrams, of unix sockets."""
    assert read(header + b"rest") == (None, b"rest")


@pytest.mark.parametrize(
    "header",
    [
        v2(V4_BLOCK + field(1, b"h2")),
        v2(V4_BLOCK + field(4, b"") + field(0xEA, b"\x01vpce-1")),
        summed(),
        summed(field(4, b"xx"), field(0x21, bytes(9))),
        v2(V4_BLOCK + field(2, bytes(16_000))),
    ],
)
def test_fields_are_skipped_and_the_checksum_is_right(header: bytes) -> None:
    assert read(header + b"GET") == (V4, b"GET")


@pytest.mark.parametrize(
    "header",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n" + bytes(100),
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rx",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
        b"PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
        b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY \r\n",
        b"PROXY UNKNOWN" + b"x" * 95,
        SIGNATURE + b"\x11",
        SIGNATURE + b"\x22",
        v2(b"", 0x21, 0x11),
        v2(V4_BLOCK[:-1]),
        v2(V4_BLOCK, 0x21, 0x21),
        v2(V4_BLOCK, 0x21, 0x10),
        v2(V4_BLOCK, 0x21, 0x41),
        v2(bytes(215), 0x21, 0x31),
        v2(V4_BLOCK + b"\x01"),
        v2(V4_BLOCK + b"\x01\x00"),
        v2(V4_BLOCK + b"\x01\x00\x05abcd"),
        v2(V4_BLOCK + field(3, bytes(4))),
        v2(V4_BLOCK + field(3, bytes(3))),
        summed(after=field(3, bytes(4))),
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_what_breaks_a_rule(header: bytes) -> None:
    with pytest.raises(WireError):
        ProxyHeaderReader().feed(header)


@given(st.integers(16, len(summed(field(4, b"xy"))) - 1), st.integers(1, 255))
def test_the_checksum_finds_every_changed_byte(at: int, change: int) -> None:
    header = bytearray(summed(field(4, b"xy")))
    header[at] ^= change
    try:
        found = read(bytes(header))
    except WireError:
        return
    # The checksum's own type may have become another's: then nothing is summed.
    assert at == 16 + 12 + 5
    assert found == (V4, b"")


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"PROXIED", b"\r\n\r\nx", b"\x00"])
def test_where_a_header_may_be_missing(data: bytes) -> None:
    assert read(data, optional=True) == (None, data)


@pytest.mark.parametrize("data", [b"PROXY TCP4 x", SIGNATURE + b"\x21"])
def test_what_begins_as_a_header_must_be_one(data: bytes) -> None:
    reader = ProxyHeaderReader(optional=True)
    assert not reader.feed(data)
    with pytest.raises(WireError):
        reader.give_up()


def test_no_more_is_waited_for() -> None:
    reader = ProxyHeaderReader(optional=True)
    assert not reader.feed(b"PRO")
    reader.give_up()
    assert (reader.done, reader.ends, reader.rest) == (True, None, b"PRO")
    with pytest.raises(WireError):
        ProxyHeaderReader().give_up()


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(lambda rest: SIGNATURE + rest),
        st.binary(max_size=300).map(lambda rest: SIGNATURE + b"\x21\x11\x00" + rest),
        st.text("0123456789.: TCPUNKOW46\r\n", max_size=120).map(lambda t: b"PROXY " + t.encode()),
    ),
    st.lists(st.integers(1, 20), max_size=30),
)
@example(b"PROXY " + b" " * 101 + b"\r\n", [])
def test_any_bytes_mean_the_same_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    """They are a header, or refused, or the beginning of one that is not too long."""

    def verdict(pieces: list[bytes]) -> object:
        reader, fed = ProxyHeaderReader(), 0
        try:
            for piece in pieces:
                fed += len(piece)
                if reader.feed(piece):
                    return reader.ends, data[: fed - len(reader.rest)]
        except WireError:
            return "refused"
        assert len(data) < 16 * 1024 if data.startswith(SIGNATURE) else len(data) < 107
        return "more"

    pieces, at = [], 0
    for cut in cuts:
        pieces.append(data[at : at + cut])
        at += cut
    assert verdict([data]) == verdict([*pieces, data[at:]])
