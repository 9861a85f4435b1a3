"""HTTP/2 frames by hand, right or wrong, for what codecs are fed with."""

from __future__ import annotations

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

GET = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":path", b"/"),
    (b":authority", b"app"),
]
POST = [(b":method", b"POST"), *GET[1:]]
OK = [(b":status", b"200")]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags))
    return head + stream.to_bytes(4, "big") + payload


def block(lines: list[tuple[bytes, bytes]]) -> bytes:
    """A header block that depends on no table but the static one."""
    encoder = hpack.Encoder()
    return b"".join(encoder.add(line, sensitive=True) for line in lines)


def decoded(lines: bytes) -> list[tuple[bytes, bytes]]:
    """The first header block of a connection."""
    return [(bytes(name), bytes(value)) for name, value in hpack.Decoder().decode(lines, raw=True)]


def headers(
    stream: int, lines: list[tuple[bytes, bytes]] = GET, flags: int = END | END_HEADERS
) -> bytes:
    return frame(HEADERS, flags, stream, block(lines))


def data(stream: int, body: bytes = b"", flags: int = 0) -> bytes:
    return frame(DATA, flags, stream, body)


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "big")


def settings(*pairs: tuple[int, int]) -> bytes:
    payload = b"".join(number(key, 2) + number(value) for key, value in pairs)
    return frame(SETTINGS, payload=payload)


def window(stream: int, by: int) -> bytes:
    return frame(WINDOW, 0, stream, number(by))


def rst(stream: int, code: int = 8) -> bytes:
    return frame(RST, 0, stream, number(code))


def cut(sent: bytes) -> list[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each frame."""
    sent = sent.removeprefix(PREFACE)
    found = []
    while sent:
        size = int.from_bytes(sent[:3], "big")
        stream = int.from_bytes(sent[5:9], "big")
        found.append((sent[3], sent[4], stream, sent[9 : 9 + size]))
        sent = sent[9 + size :]
    return found


def code_of_goaway(sent: bytes) -> int | None:
    """Of the last one."""
    went = [payload for kind, _, _, payload in cut(sent) if kind == GOAWAY]
    return int.from_bytes(went[-1][4:8], "big") if went else None


def resets(sent: bytes) -> list[tuple[int, int]]:
    """Stream and code of each."""
    return [
        (stream, int.from_bytes(payload, "big"))
        for kind, _, stream, payload in cut(sent)
        if kind == RST
    ]
