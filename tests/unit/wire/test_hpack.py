"""HPACK: the RFC's own examples, what is refused, and the `hpack` package at the other end."""

from __future__ import annotations

import hpack
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.wire import huffman
from meshproxy.wire.errors import WireError
from meshproxy.wire.heads import Headers
from meshproxy.wire.hpack_decoder import Decoder
from meshproxy.wire.hpack_encoder import Encoder
from meshproxy.wire.hpack_tables import integer

FIRST: Headers = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":path", b"/"),
    (b":authority", b"www.example.com"),
]
SECOND: Headers = [*FIRST, (b"cache-control", b"no-cache")]
THIRD: Headers = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":path", b"/index.html"),
    (b":authority", b"www.example.com"),
    (b"custom-key", b"custom-value"),
]
FOUND: Headers = [
    (b":status", b"302"),
    (b"cache-control", b"private"),
    (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
    (b"location", b"https://www.example.com"),
]
MOVED: Headers = [(b":status", b"307"), *FOUND[1:]]
COOKIE: Headers = [
    (b":status", b"200"),
    (b"cache-control", b"private"),
    (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT"),
    (b"location", b"https://www.example.com"),
    (b"content-encoding", b"gzip"),
    (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
]
SMALL_TABLE = "3fe101"  # C.5 and C.6 have a table of 256 bytes: say so first

# RFC 7541 appendix C: blocks of one connection, and what they say.
EXAMPLES = {
    "C.2.1": [
        (
            "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
            [(b"custom-key", b"custom-header")],
        )
    ],
    "C.2.2": [("040c2f73616d706c652f70617468", [(b":path", b"/sample/path")])],
    "C.2.3": [("100870617373776f726406736563726574", [(b"password", b"secret")])],
    "C.2.4": [("82", [(b":method", b"GET")])],
    "C.3": [
        ("828684410f7777772e6578616d706c652e636f6d", FIRST),
        ("828684be58086e6f2d6361636865", SECOND),
        ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", THIRD),
    ],
    "C.4": [
        ("828684418cf1e3c2e5f23a6ba0ab90f4ff", FIRST),
        ("828684be5886a8eb10649cbf", SECOND),
        ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", THIRD),
    ],
    "C.5": [
        (
            SMALL_TABLE + "4803333032580770726976617465611d4d6f6e2c203231204f63742032303133"
            "2032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
            FOUND,
        ),
        ("4803333037c1c0bf", MOVED),
        (
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a6970"
            "7738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d616765"
            "3d333630303b2076657273696f6e3d31",
            COOKIE,
        ),
    ],
    "C.6": [
        (
            SMALL_TABLE + "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1b"
            "ff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
            FOUND,
        ),
        ("4883640effc1c0bf", MOVED),
        (
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7"
            "b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            COOKIE,
        ),
    ],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_rfc(name: str) -> None:
    decoder = Decoder(65_536)
    for block, lines in EXAMPLES[name]:
        assert decoder.decode(bytes.fromhex(block)) == lines


@pytest.mark.parametrize(
    ("value", "prefix", "made"),
    [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a"), (31, 5, "1f00")],
)
def test_integers(value: int, prefix: int, made: str) -> None:
    """RFC 7541 C.1."""
    assert integer(value, prefix, 0).hex() == made


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("80", id="index 0"),
        pytest.param("be", id="index of an empty table"),
        pytest.param("7e0161", id="a name beyond the table"),
        pytest.param("ff", id="an index without end"),
        pytest.param("ffffffffffffff01", id="an index past every table"),
        pytest.param("40", id="no name"),
        pytest.param("400161", id="no value"),
        pytest.param("4001610261", id="a value cut short"),
        pytest.param("40ff", id="a length without end"),
        pytest.param("3fe21f", id="a table over the limit"),
        pytest.param("8220", id="a table size behind a line"),
        pytest.param("0081ff00", id="eight bits of padding"),
        pytest.param("00811800", id="padding of zeros"),
        pytest.param("0084ffffffff00", id="the end of string inside"),
    ],
)
def test_broken_blocks(block: str) -> None:
    with pytest.raises(WireError):
        Decoder(65_536).decode(bytes.fromhex(block))


def test_a_list_over_the_bound_is_measured_and_not_kept() -> None:
    decoder = Decoder(1000)
    line = (b"x", b"v" * 400)
    block = b"\x40\x01x" + integer(400, 7, 0) + line[1] + b"\xbe" * 999
    assert decoder.decode(block) == [line] * 2
    assert decoder.size == 433 * 1000
    # The table is as the peer believes.
    assert decoder.decode(b"\xbe") == [line]
    assert decoder.size == 433


def test_a_line_larger_than_the_table_empties_it() -> None:
    decoder = Decoder(65_536)
    decoder.decode(b"\x40\x01a\x01b")
    decoder.decode(b"\x40\x01a" + integer(5000, 7, 0) + b"b" * 5000)
    with pytest.raises(WireError):
        decoder.decode(b"\xbe")


def test_what_repeats_is_a_byte_and_what_does_not_stays_out_of_the_table() -> None:
    encoder = Encoder()
    for at in range(300):
        block = encoder.encode([(b"x-id", b"%d" % at), (b"accept", b"*/*")])
    assert block == b"\x00\x04x-id\x03299\xbe"


@pytest.mark.parametrize("name", [b"authorization", b"cookie", b"set-cookie"])
def test_secrets_are_never_indexed(name: bytes) -> None:
    encoder = Encoder()
    blocks = {encoder.encode([(name, b"secret")]) for _ in range(3)}
    assert len(blocks) == 1
    decoder = hpack.Decoder()
    (line,) = decoder.decode(blocks.pop(), raw=True)
    assert not line.indexable  # type: ignore[union-attr]


NAMES = st.sampled_from([b":path", b"accept", b"cookie", b"x-a", b"x-" + b"l" * 300])
VALUES = st.one_of(
    st.sampled_from([b"", b"/", b"gzip, deflate", b"v" * 126, b"v" * 127, b"w" * 1500]),
    st.binary(max_size=40),
    st.integers(0, 50).map(lambda number: b"%d" % number * 20),
)
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=12)
SIZES = st.none() | st.sampled_from([0, 40, 100, 1000, 4096])


@given(st.lists(st.tuples(SIZES, SIZES, LINES), max_size=12))
def test_our_encoder_to_the_packages_decoder(
    blocks: list[tuple[int | None, int | None, Headers]],
) -> None:
    ours, theirs = Encoder(), hpack.Decoder()
    for size, again, lines in blocks:
        for wanted in (size, again):
            if wanted is not None:
                ours.resize(wanted)
        assert [tuple(line) for line in theirs.decode(ours.encode(lines), raw=True)] == lines


@given(st.lists(st.tuples(SIZES, LINES, st.booleans()), max_size=12))
def test_the_packages_encoder_to_our_decoder(
    blocks: list[tuple[int | None, Headers, bool]],
) -> None:
    theirs, ours = hpack.Encoder(), Decoder(1 << 20)
    for size, lines, coded in blocks:
        if size is not None:
            theirs.header_table_size = size
        assert ours.decode(theirs.encode(lines, huffman=coded)) == lines


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_read_as_the_package_reads_them(blocks: list[bytes]) -> None:
    theirs, ours = hpack.Decoder(), Decoder(65_536)
    for block in blocks:
        try:
            wanted = [tuple(line) for line in theirs.decode(block, raw=True)]
        except hpack.HPACKError:
            with pytest.raises(WireError):
                ours.decode(block)
            return
        assert ours.decode(block) == wanted


@given(st.binary(max_size=30))
def test_huffman_as_the_package_has_it(data: bytes) -> None:
    coded = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(data)
    assert huffman.decode(coded) == data
    try:
        wanted = decode_huffman(data)
    except hpack.HPACKError:
        with pytest.raises(WireError):
            huffman.decode(data)
    else:
        assert huffman.decode(data) == wanted
