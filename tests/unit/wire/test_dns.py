"""DNS messages: what is asked, and what an answer is taken to say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.wire.dns import DnsError, Family, Reply, encode_question, read_reply
from tests.support.dns_server import (
    address_record,
    alias_record,
    asked_for,
    name_bytes,
    record,
    reply,
)

NAME = "db.example.com"
ASKED = encode_question(7, NAME, Family.A)


def read(*records: bytes, name: str = NAME, family: Family = Family.A, **more: int) -> Reply:
    question = encode_question(7, name, family)
    return read_reply(reply(question, *records, **more), 7, name, family)  # type: ignore[arg-type]


def test_a_question_is_read_back() -> None:
    assert asked_for(ASKED) == (NAME, 1)
    assert asked_for(encode_question(7, "a.b.", Family.AAAA)) == ("a.b", 28)
    assert struct.unpack("!6H", ASKED[:12]) == (7, 0x0100, 1, 0, 0, 0)


@pytest.mark.parametrize("name", ["", ".", "a..b", "ü.example", "x" * 64, ".".join(["x" * 60] * 5)])
def test_what_is_no_name_is_not_asked(name: str) -> None:
    with pytest.raises(DnsError):
        encode_question(1, name, Family.A)


def test_addresses_in_their_order_with_the_least_time_to_live() -> None:
    found = read(address_record(NAME, "10.0.0.2", 30), address_record(NAME, "10.0.0.1", 90))
    assert found == Reply(0, ("10.0.0.2", "10.0.0.1"), 30)


def test_ipv6() -> None:
    found = read(address_record(NAME, "fd00::1"), family=Family.AAAA)
    assert found.addresses == ("fd00::1",)


def test_aliases_are_followed_in_any_order_and_age_the_answer() -> None:
    found = read(
        address_record("c.example", "10.0.0.1", 300),
        alias_record("b.example", "c.example", 5),
        alias_record(NAME, "B.example", 60),
    )
    assert found == Reply(0, ("10.0.0.1",), 5)


def test_what_the_name_does_not_lead_to_is_passed_over() -> None:
    assert read(address_record("evil.example", "10.6.6.6")) == Reply(0)
    assert read(record(NAME, 16, 60, b"\x04text")) == Reply(0)


def test_names_are_compressed_by_pointing_back() -> None:
    pointer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 9, 4) + bytes((10, 0, 0, 1))
    assert read(pointer) == Reply(0, ("10.0.0.1",), 9)


def test_case_is_no_difference() -> None:
    data = reply(encode_question(7, NAME.upper(), Family.A), address_record(NAME, "10.0.0.1"))
    assert read_reply(data, 7, NAME, Family.A).addresses == ("10.0.0.1",)


def test_a_time_to_live_that_is_negative_counts_as_none() -> None:
    assert read(address_record(NAME, "10.0.0.1", 2**31)).ttl == 0


@pytest.mark.parametrize(("code", "truncated"), [(3, False), (2, False), (0, True)])
def test_other_answers(code: int, truncated: bool) -> None:
    found = read_reply(reply(ASKED, code=code, truncated=truncated), 7, NAME, Family.A)
    assert found == Reply(code, truncated=truncated)


RING = [alias_record(NAME, "a.example"), alias_record("a.example", NAME)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ASKED,  # a question is no answer
        reply(ASKED, number=8),
        reply(encode_question(7, "other.example", Family.A)),
        reply(encode_question(7, NAME, Family.AAAA)),
        reply(ASKED, address_record(NAME, "10.0.0.1"))[:-1],
        reply(ASKED, record(NAME, 1, 60, b"\x0a\0\0")),
        reply(ASKED, *RING),
        reply(ASKED, b"\xc0\xff" + bytes(20)),
        # A pointer to itself.
        reply(ASKED, struct.pack("!H", 0xC000 | len(ASKED)) + bytes(20)),
        reply(ASKED, b"\x80" + bytes(30)),
        reply(ASKED, name_bytes(".".join(["x" * 63] * 5)) + bytes(20)),
    ],
)
def test_what_does_not_answer_the_question_is_refused(data: bytes) -> None:
    with pytest.raises(DnsError):
        read_reply(data, 7, NAME, Family.A)


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_that(tail: bytes) -> None:
    data = reply(ASKED, address_record(NAME, "10.0.0.1"), tail)
    try:
        found = read_reply(data, 7, NAME, Family.A)
    except DnsError:
        return
    assert found.addresses == ("10.0.0.1",) or len(found.addresses) > 1


@given(st.data())
def test_a_broken_message_is_refused_or_read(data: st.DataObject) -> None:
    whole = bytearray(reply(ASKED, alias_record(NAME, "a.b"), address_record("a.b", "10.0.0.1")))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    try:
        read_reply(bytes(whole), 7, NAME, Family.A)
    except DnsError:
        pass
