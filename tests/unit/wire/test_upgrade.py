"""What an upgrade of HTTP/1.1 is in HTTP/2, and the other way round."""

from __future__ import annotations

import pytest

from meshproxy.wire.heads import HTTP2, HTTP11, TUNNEL, Headers, RequestHead, ResponseHead, index
from meshproxy.wire.upgrade import (
    CONNECT,
    accept_of,
    agree,
    connect_lines,
    http1_agreement,
    http2_agreement,
    key_of,
    settings_of,
)

# RFC 6455 section 1.3.
KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def wants(upgrade: bytes, headers: Headers = [], version: int = HTTP11) -> RequestHead:  # noqa: B006
    method = CONNECT if upgrade == CONNECT else b"GET"
    head = RequestHead(method, b"/chat", b"shop:80", version, headers, index(headers))
    head.upgrade = upgrade
    return head


def says(status: int, headers: Headers = [], version: int = HTTP11) -> ResponseHead:  # noqa: B006
    head = ResponseHead(status, headers, index(headers), version)
    head.length = TUNNEL
    return head


def test_the_handshake_of_rfc_6455() -> None:
    assert accept_of(KEY) == ACCEPT
    assert key_of(b"the sample nonce") == KEY


def test_pseudo_headers() -> None:
    assert connect_lines(wants(CONNECT)) == [(b":method", CONNECT), (b":authority", b"shop:80")]
    assert connect_lines(wants(b"websocket")) == [
        (b":method", CONNECT),
        (b":protocol", b"websocket"),
        (b":scheme", b"http"),
        (b":authority", b"shop:80"),
        (b":path", b"/chat"),
    ]


@pytest.mark.parametrize(("upgrade", "status"), [(b"websocket", 101), (CONNECT, 200)])
def test_an_agreement_that_came_in_http2(upgrade: bytes, status: int) -> None:
    answer = says(200, [(b"content-length", b"0"), (b"x", b"y")], HTTP2)
    answer.length = 0
    agree(answer, upgrade)
    assert (answer.status, answer.length) == (status, TUNNEL)
    assert answer.headers == [(b"x", b"y")]
    assert answer.fields == {b"x": b"y"}


@pytest.mark.parametrize(
    ("status", "sent", "came", "found"),
    [
        (101, [(b"sec-websocket-key", KEY)], [(b"sec-websocket-accept", ACCEPT)], True),
        (101, [], [(b"sec-websocket-accept", ACCEPT)], False),
        (200, [], [(b"content-length", b"0")], False),
    ],
)
def test_an_agreement_as_http2_has_it(
    status: int, sent: Headers, came: Headers, found: bool
) -> None:
    """The answer to a key is for who sent the key, and no length is a tunnel's."""
    told, headers = http2_agreement(wants(b"websocket", sent), says(status, came), came)
    assert told == 200
    assert headers == (came if found else [])


@pytest.mark.parametrize(
    ("upgrade", "sent", "came", "more"),
    [
        (b"foo", [], [], [(b"connection", b"upgrade"), (b"upgrade", b"foo")]),
        (
            b"foo",
            [],
            [(b"Upgrade", b"Foo")],
            [(b"connection", b"upgrade"), (b"upgrade", b"Foo")],
        ),
        (
            b"websocket",
            [(b"Sec-WebSocket-Key", KEY)],
            [],
            [
                (b"connection", b"upgrade"),
                (b"upgrade", b"websocket"),
                (b"sec-websocket-accept", ACCEPT),
            ],
        ),
        (
            b"websocket",
            [(b"Sec-WebSocket-Key", KEY)],
            [(b"Sec-WebSocket-Accept", b"theirs")],
            [(b"connection", b"upgrade"), (b"upgrade", b"websocket")],
        ),
        (
            b"websocket",
            [],
            [],
            [(b"connection", b"upgrade"), (b"upgrade", b"websocket")],
        ),
    ],
)
def test_an_agreement_as_http1_has_it(
    upgrade: bytes, sent: Headers, came: Headers, more: Headers
) -> None:
    assert http1_agreement(wants(upgrade, sent), says(101, came), []) == more


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (b"AAMAAABkAAQAAP__", b"\0\3\0\0\0\x64\0\4\0\0\xff\xff"),
        (b"AAQAAP-_", b"\0\4\0\0\xff\xbf"),
        (b"", b""),
        (None, None),
        (b"AAMAAABk,AAMAAABk", None),  # twice
        (b"AAMAAABk, ", None),
        (b"AAMAA", None),  # no length of base64
        (b"AAMAAAB", None),  # five bytes are no setting
        (b"A AMAAABk", None),
    ],
)
def test_http2_settings(value: bytes | None, payload: bytes | None) -> None:
    headers = [] if value is None else [(b"HTTP2-Settings", value)]
    assert settings_of(wants(b"h2c", headers)) == payload
