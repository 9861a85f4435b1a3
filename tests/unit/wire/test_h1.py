"""Both HTTP/1 readers over one set of cases: named bytes, and what they must be read as."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meshproxy.wire.errors import TooLarge, WireError
from meshproxy.wire.h1 import Reader
from meshproxy.wire.h1_fast import FastReader
from meshproxy.wire.h1_reference import ReferenceReader
from meshproxy.wire.heads import CHUNKED, TUNNEL, UNTIL_CLOSE

Make = Callable[[], Reader]


@pytest.fixture(params=[FastReader, ReferenceReader], ids=["fast", "h11"])
def make(request: pytest.FixtureRequest) -> Make:
    kind = request.param
    return lambda: kind(1000, 10)


def read_all(reader: Reader) -> bytes:
    """The rest of the current message's body, as far as it was fed."""
    pieces = []
    while not reader.ended:
        piece = reader.body()
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)


def test_a_request_keeps_its_headers_as_they_came(make: Make) -> None:
    reader = make()
    block = b"GET /a?b=c HTTP/1.1\r\nHost: Shop.example:8080\r\nX-Odd-CASE:  v \r\nx-two: 1\r\nX-Two: 2\r\n\r\n"
    reader.feed(block)
    head = reader.request()
    assert head is not None
    assert (head.method, head.path, head.authority) == (b"GET", b"/a?b=c", b"Shop.example:8080")
    assert head.headers == [
        (b"Host", b"Shop.example:8080"),
        (b"X-Odd-CASE", b"v"),
        (b"x-two", b"1"),
        (b"X-Two", b"2"),
    ]
    assert head.fields[b"x-two"] == b"1,2"
    assert (head.length, head.close, head.version, head.wire_bytes) == (0, False, 11, len(block))
    assert reader.ended
    assert not reader.buffer


@pytest.mark.parametrize(
    ("text", "length", "close"),
    [
        pytest.param("Content-Length: 5\r\n", 5, False, id="length"),
        pytest.param("Content-Length: 0\r\n", 0, False, id="length zero"),
        pytest.param("Transfer-Encoding: chunked\r\n", CHUNKED, False, id="chunked"),
        pytest.param("Transfer-Encoding: Chunked\r\n", CHUNKED, False, id="chunked in capitals"),
        pytest.param("Connection: close\r\n", 0, True, id="close"),
        pytest.param("Connection: Keep-Alive, CLOSE\r\n", 0, True, id="close among others"),
        pytest.param(
            "Connection: x\r\nConnection: close\r\n", 0, True, id="close in a second field"
        ),
    ],
)
def test_framing_of_requests(make: Make, text: str, length: int, close: bool) -> None:
    reader = make()
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\n" + text.encode() + b"\r\n")
    head = reader.request()
    assert head is not None
    assert (head.length, head.close) == (length, close)


@pytest.mark.parametrize(
    ("line", "close"),
    [
        pytest.param("GET / HTTP/1.0\r\n\r\n", True, id="no Host, no keep-alive"),
        pytest.param("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False, id="keep-alive"),
        pytest.param("GET / HTTP/1.0\r\nHost: a\r\nConnection: x\r\n\r\n", True, id="other option"),
    ],
)
def test_http_1_0(make: Make, line: str, close: bool) -> None:
    reader = make()
    reader.feed(line.encode())
    head = reader.request()
    assert head is not None
    assert (head.version, head.close) == (10, close)


HOST = b"Host: a\r\n"

REFUSED = {
    "both lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "both lengths, other order": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "two different lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "two equal lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n",
    "a signed length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a hexadecimal length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n",
    "a length with an underscore": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n",
    "an empty length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
    "a huge length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "an unknown coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunked under another coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "identity": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    "quoted chunked": b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "chunked"\r\n\r\n',
    "vertical tab before chunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
    "coding in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "blank before the colon": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two equal Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a Host with a blank": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a Host with an at": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in one line": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
    "CR CR LF": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    "folded with tab": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n",
    "blank before the first header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n",
    "control character in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01c\r\n\r\n",
    "DEL in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7fc\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "a name with a slash": b"GET / HTTP/1.1\r\nHost: a\r\nX/Y: b\r\n\r\n",
    "two blanks after the method": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "two blanks before the version": b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    "a blank after the version": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "a tab in the request line": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a blank before the method": b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a blank in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a control character in the target": b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target that is no path": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target of another scheme": b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target without host": b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
    "user info in the target": b"GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk for another method": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
    "HTTP/1.10": b"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
    "lower-case http": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "another protocol": b"GET / RTSP/1.0\r\nHost: a\r\n\r\n",
    "a method that is no token": b"G{T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "an answer": b"HTTP/1.1 200 OK\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "CONNECT to a path": b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "nothing": b"x\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_requests(make: Make, name: str) -> None:
    reader = make()
    with pytest.raises(WireError) as caught:
        reader.feed(REFUSED[name])
        reader.request()
    assert caught.value.status in (400, 501, 505)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_requests_byte_by_byte(make: Make, name: str) -> None:
    """A broken head is never waited on for ever, and never read as something else."""
    reader = make()
    with pytest.raises(WireError):
        for byte in REFUSED[name]:
            reader.feed(bytes([byte]))
            assert reader.request() is None


ACCEPTED = {
    "empty lines first": (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET", b"/", b"a"),
    "a method of its own": (
        b"FROBNICATE /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"FROBNICATE",
        b"/x",
        b"a",
    ),
    "a method in lower case": (b"get /x HTTP/1.1\r\nHost: a\r\n\r\n", b"get", b"/x", b"a"),
    "absolute form": (b"GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n", b"GET", b"/x?y", b"b:81"),
    "absolute form without path": (b"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", b"GET", b"/", b"b"),
    "absolute form, query alone": (
        b"GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET",
        b"/?q",
        b"b",
    ),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"OPTIONS", b"*", b"a"),
    "IPv6 host": (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", b"GET", b"/", b"[::1]:80"),
    "empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"GET", b"/", b""),
    "CONNECT": (b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", b"CONNECT", b"b:443", b"b:443"),
    "double slash": (b"GET //x//y HTTP/1.1\r\nHost: a\r\n\r\n", b"GET", b"//x//y", b"a"),
    "fragment of latin-1 in a value": (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n",
        b"GET",
        b"/",
        b"a",
    ),
    "empty value": (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", b"GET", b"/", b"a"),
}


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_accepted_requests(make: Make, name: str, step: int) -> None:
    raw, method, path, authority = ACCEPTED[name]
    reader, head = make(), None
    for at in range(0, len(raw), step):
        assert head is None
        reader.feed(raw[at : at + step])
        head = reader.request()
    assert head is not None
    assert (head.method, head.path, head.authority) == (method, path, authority)


def test_pipelined_requests_wait_as_bytes(make: Make) -> None:
    reader = make()
    one = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    two = b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
    three = b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
    reader.feed(one + two + three)
    first = reader.request()
    assert first is not None
    assert first.path == b"/1"
    assert read_all(reader) == b"abc"
    assert reader.ended
    assert reader.buffer == two + three
    second = reader.request()
    assert second is not None
    assert second.path == b"/2"
    assert read_all(reader) == b"de"
    assert reader.ended
    third = reader.request()
    assert third is not None
    assert third.path == b"/3"
    assert not reader.buffer


def test_many_requests_on_one_connection(make: Make) -> None:
    reader = make()
    for number in range(50):
        body = b"x" * (number % 3)
        reader.feed(
            b"PUT /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (number, len(body))
        )
        head = reader.request()
        assert head is not None
        assert head.path == b"/%d" % number
        reader.feed(body)
        assert read_all(reader) == body
        assert reader.ended


@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_chunked_body_with_trailers(make: Make, step: int) -> None:
    reader = make()
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert reader.request() is not None
    coded = b"4\r\nwiki\r\nA;x=y\r\n0123456789\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\nx-two:  b \r\n\r\nNEXT"
    got = b""
    for at in range(0, len(coded), step):
        reader.feed(coded[at : at + step])
        got += read_all(reader)
    assert got == b"wiki0123456789!"
    assert reader.ended
    assert [(name.lower(), value) for name, value in reader.trailers] == [
        (b"x-sum", b"7"),
        (b"x-two", b"b"),
    ]
    assert len(reader.buffer) == 4
    assert reader.body_bytes == len(coded) - 4


BAD_CHUNKS = {
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "not hexadecimal": b"g\r\nabc\r\n0\r\n\r\n",
    "signed": b"+3\r\nabc\r\n0\r\n\r\n",
    "with prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "too many digits": b"000000000000000000000003\r\nabc\r\n0\r\n\r\n",
    "blank before": b" 3\r\nabc\r\n0\r\n\r\n",
    "bare LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "data too long": b"3\r\nabcd\r\n0\r\n\r\n",
    "data too short": b"3\r\nab\r\n0\r\n\r\n",
    "CR alone after data": b"3\r\nabc\rx0\r\n\r\n",
    "a trailer without colon": b"0\r\nX\r\n\r\n",
    "a trailer with a control character": b"0\r\nX: \x01\r\n\r\n",
    "a folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
@pytest.mark.parametrize("step", [1, 1000])
def test_malformed_chunks(name: str, step: int) -> None:
    """Ours alone: `h11` reads some of these leniently, and is not asked to judge them."""
    reader = FastReader(1000, 10)
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert reader.request() is not None
    with pytest.raises(WireError):
        for at in range(0, len(BAD_CHUNKS[name]), step):
            reader.feed(BAD_CHUNKS[name][at : at + step])
            read_all(reader)


def test_bounds_of_a_head(make: Make) -> None:
    fits = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (1000 - 30) + b"\r\n\r\n"
    assert len(fits) == 1000 + 2
    reader = make()
    reader.feed(fits)
    assert reader.request() is not None
    reader = make()
    reader.feed(fits.replace(b"X: ", b"X: xxx"))
    with pytest.raises(TooLarge):
        reader.request()


def test_an_endless_head_is_cut_off(make: Make) -> None:
    reader = make()
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n")
    with pytest.raises(TooLarge):
        for _ in range(1000):
            reader.feed(b"X: y\r\n")
            assert reader.request() is None


def test_bound_of_the_number_of_headers(make: Make) -> None:
    def with_headers(count: int) -> bytes:
        lines = [b"Host: a"] + [b"X-%d: y" % at for at in range(count - 1)]
        return b"GET / HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"

    reader = make()
    reader.feed(with_headers(10))
    assert reader.request() is not None
    reader = make()
    reader.feed(with_headers(11))
    with pytest.raises(TooLarge):
        reader.request()


@pytest.mark.parametrize(
    ("text", "upgrade"),
    [
        pytest.param("Connection: upgrade\r\nUpgrade: websocket\r\n", b"websocket", id="websocket"),
        pytest.param(
            "Connection: keep-alive, Upgrade\r\nUpgrade: Foo/2\r\n", b"foo/2", id="any token"
        ),
        pytest.param("Upgrade: websocket\r\n", b"", id="not named by Connection"),
        pytest.param("Connection: upgrade\r\n", b"", id="no Upgrade"),
        pytest.param(
            "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\n", b"h2c", id="h2c, ours to do"
        ),
        pytest.param("Connection: upgrade\r\nUpgrade: h2c\r\n", b"", id="h2c without settings"),
        pytest.param("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", b"", id="h2c in a list"),
    ],
)
def test_upgrade(make: Make, text: str, upgrade: bytes) -> None:
    reader = make()
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + text.encode() + b"\r\n")
    head = reader.request()
    assert head is not None
    assert head.upgrade == upgrade
    assert head.length == 0


def test_no_upgrade_to_h2c_with_a_body(make: Make) -> None:
    """Its bytes would be HTTP/2's first."""
    reader = make()
    reader.feed(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABk\r\nContent-Length: 1\r\n\r\n"
    )
    head = reader.request()
    assert head is not None
    assert (head.upgrade, head.length) == (b"", 1)


def test_bytes_after_an_upgrade_are_a_tunnels(make: Make) -> None:
    reader = make()
    reader.feed(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\x81\x00GET"
    )
    assert reader.request() is not None
    reader.tunnel()
    assert reader.body() == b"\x81\x00GET"
    assert not reader.ended
    reader.eof()
    assert reader.ended


ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"GET", 3, False),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET", CHUNKED, False),
    "until close": (b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", b"GET", UNTIL_CLOSE, True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", b"GET", 3, True),
    "HTTP/1.0 kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n",
        b"GET",
        3,
        False,
    ),
    "to HEAD": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"HEAD", 0, False),
    "to HEAD, chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HEAD",
        0,
        False,
    ),
    "204": (b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", b"GET", 0, False),
    "304 with length": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
        b"GET",
        0,
        False,
    ),
    "close": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"GET",
        0,
        True,
    ),
    "no reason": (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", b"GET", 0, False),
    "an unusual status": (b"HTTP/1.1 299 Fine\r\nContent-Length: 0\r\n\r\n", b"GET", 0, False),
    "CONNECT agreed": (b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", b"CONNECT", TUNNEL, False),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(make: Make, name: str) -> None:
    raw, method, length, close = ANSWERS[name]
    reader = make()
    reader.feed(raw)
    head = reader.response(method, b"CONNECT" if method == b"CONNECT" else b"")
    assert head is not None
    assert (head.length, head.close) == (length, close)
    assert reader.ended == (length == 0)


BAD_ANSWERS = {
    "both lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "status too large": b"HTTP/1.1 700 X\r\nContent-Length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "a 101 that nobody asked for": b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_malformed_answers(make: Make, name: str) -> None:
    reader = make()
    reader.feed(BAD_ANSWERS[name])
    with pytest.raises(WireError):
        reader.response(b"GET")


def test_interim_answers_come_before_the_final_one(make: Make) -> None:
    reader = make()
    reader.feed(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    seen = []
    for _ in range(3):
        head = reader.response(b"GET")
        assert head is not None
        seen.append(head.status)
    assert seen == [100, 103, 200]
    assert read_all(reader) == b"ok"
    assert reader.ended


def test_an_answer_that_lasts_until_the_end(make: Make) -> None:
    reader = make()
    reader.feed(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nabc")
    assert reader.response(b"GET") is not None
    assert reader.body() == b"abc"
    reader.feed(b"def")
    assert reader.body() == b"def"
    assert not reader.ended
    reader.eof()
    assert reader.ended


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", id="length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", id="chunk"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", id="last chunk"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="head"),
    ],
)
def test_an_end_in_the_middle_is_an_error(make: Make, raw: bytes) -> None:
    reader = make()
    reader.feed(raw)
    if reader.response(b"GET") is not None:
        read_all(reader)
    with pytest.raises(WireError):
        reader.eof()


def test_many_answers_on_one_connection(make: Make) -> None:
    reader = make()
    for number in range(30):
        body = b"y" * number
        reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % number + body)
        assert reader.response(b"GET") is not None
        assert read_all(reader) == body
        assert reader.ended
        assert not reader.buffer
