"""The name in a ClientHello: real ones of OpenSSL, cut anywhere, and what is none."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.wire.client_hello import ClientHelloReader

LIMIT = 16 * 1024


def real_hello(name: str | None, alpn: list[str] | None = None) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def message_of(hello: bytes) -> bytes:
    return hello[5:]


def records(message: bytes, *sizes: int) -> bytes:
    """The message cut into records of these sizes, the rest in a last one."""
    out, at = b"", 0
    for size in (*sizes, len(message)):
        piece = message[at : at + size]
        at += len(piece)
        out += b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece if piece else b""
    return out


def made(extensions: bytes | None = b"", session: bytes = b"", kind: int = 1) -> bytes:
    """A ClientHello by hand."""
    body = b"\x03\x03" + bytes(32) + bytes([len(session)]) + session + b"\x00\x02\x13\x01\x01\x00"
    if extensions is not None:
        body += len(extensions).to_bytes(2, "big") + extensions
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


def server_name(name: bytes, kind: int = 0) -> bytes:
    entry = bytes([kind]) + len(name).to_bytes(2, "big") + name
    return extension(0, len(entry).to_bytes(2, "big") + entry)


def read(data: bytes, limit: int = LIMIT) -> tuple[bool, str]:
    reader = ClientHelloReader(limit)
    reader.feed(data)
    return reader.done, reader.name


GREASE = extension(0x0A0A, b"") + extension(0x1A1A, b"\x00")  # RFC 8701


def test_a_real_one() -> None:
    hello = real_hello("Shop.Example.com", ["h2", "http/1.1"])
    assert read(hello) == (True, "shop.example.com")
    assert read(hello + b"what follows") == (True, "shop.example.com")


def test_a_real_one_without_a_name() -> None:
    assert read(real_hello(None)) == (True, "")
    assert read(real_hello("127.0.0.1")) == (True, "")  # OpenSSL sends no address as a name


def test_every_byte_is_waited_for() -> None:
    hello = real_hello("a.example")
    reader = ClientHelloReader(LIMIT)
    for at in range(len(hello) - 1):
        assert not reader.feed(hello[at : at + 1]), at
    assert reader.feed(hello[-1:])
    assert reader.name == "a.example"


@given(st.lists(st.integers(1, 40), max_size=30), st.lists(st.integers(1, 90), max_size=20))
def test_fragments(sizes: list[int], reads: list[int]) -> None:
    """Cut into records and reads of any size."""
    data = records(made(GREASE + server_name(b"a.example"), bytes(32)), *sizes)
    reader, at = ClientHelloReader(LIMIT), 0
    for size in (*reads, len(data)):
        reader.feed(data[at : at + size])
        at += size
    assert (reader.done, reader.name) == (True, "a.example")


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (made(None), ""),
        (made(b""), ""),
        (made(GREASE), ""),
        (made(GREASE + server_name(b"a") + GREASE), "a"),
        (made(server_name(b"a"), b"s" * 32), "a"),
        (made(server_name(b"x" * 255)), "x" * 255),
    ],
)
def test_ones_made_by_hand(message: bytes, name: str) -> None:
    assert read(records(message)) == (True, name)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x02",
        b"\x17\x03\x03\x00\x01a",
        b"\x16\x03\x01\x00\x00",  # an empty record
        b"\x16\x03\x01\x40\x01",  # a record that is too long
        records(made(kind=2)),
        records(made(server_name(b"a") * 2)),
        records(made(server_name(b"x" * 256))),
        records(made(server_name(b""))),
        records(made(server_name(b"\xff"))),
        records(made(server_name(b"a\x00"))),
        records(made(server_name(b"a", 1))),
        records(made(extension(0, b"\x00\x09\x00\x00\x01a"))),
        records(made(extension(0, b""))),
        records(made(b"\x00\x00\x00\xff")),
        records(b"\x01\x00\x00\x03\x03\x03\x00"),
    ],
)
def test_what_is_none_has_no_name_and_is_not_waited_for(data: bytes) -> None:
    assert read(data) == (True, "")


def test_the_largest_message() -> None:
    message = made(server_name(b"a") + extension(21, bytes(1000)))
    assert read(records(message), len(message)) == (True, "a")
    assert read(records(message)[:9], len(message) - 1) == (True, "")


def test_what_is_kept_is_bounded() -> None:
    reader = ClientHelloReader(1000)
    message = made(extension(21, bytes(900 - len(made()))))
    reader.feed(records(message[:-1]))
    assert not reader.done
    assert len(reader._message) <= 1000


@given(st.binary(max_size=200), st.integers(0, 400))
def test_garbage_ends_or_waits_and_never_raises(noise: bytes, at: int) -> None:
    hello = records(made(server_name(b"a.example"), bytes(32)))
    reader = ClientHelloReader(LIMIT)
    reader.feed(hello[:at] + noise + hello[at:])
    reader = ClientHelloReader(LIMIT)
    reader.feed(noise)
    broken = bytearray(hello)
    broken[at % len(hello)] ^= 0xFF
    ClientHelloReader(LIMIT).feed(bytes(broken))
