"""HTTP/2 frames for ends that read no headers: as little as a load and its app need (RFC 9113).

Header blocks that come are not decoded; those that are sent use no table, so that nothing has to be
remembered of them. Windows are opened so wide that none closes for the length of a run.
"""

from __future__ import annotations

from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM = ACK = 1
_END_HEADERS = 4
_WIDEST = 2**31 - 1
_FIRST = 65535  # a connection's window, whatever the settings say

_INITIAL_WINDOW, _MAX_STREAMS = 4, 3


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return b"%b%b%b%b" % (
        *(len(payload).to_bytes(3, "big"), bytes((kind, flags))),
        *(stream.to_bytes(4, "big"), payload),
    )


def headers(stream: int, block: bytes, end: bool = False) -> bytes:
    return frame(HEADERS, _END_HEADERS | (END_STREAM if end else 0), stream, block)


def hello() -> bytes:
    """Settings, and a connection's window that lasts for two gigabytes."""
    settings = b"".join(
        name.to_bytes(2, "big") + value.to_bytes(4, "big")
        for name, value in ((_INITIAL_WINDOW, _WIDEST), (_MAX_STREAMS, 1024))
    )
    return frame(SETTINGS, 0, 0, settings) + open_window(_WIDEST - _FIRST)


def open_window(size: int, stream: int = 0) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def block(*fields: tuple[str, str]) -> bytes:
    """A header block of literals (RFC 7541 section 6.2.2), without Huffman coding."""
    found = b""
    for name, value in fields:
        found += b"\0" + _string(name) + _string(value)
    return found


def _string(text: str) -> bytes:
    data = text.encode()
    if len(data) < 127:
        return bytes((len(data),)) + data
    rest = len(data) - 127
    return bytes((127, *([rest] if rest < 128 else [rest % 128 + 128, rest // 128]))) + data


def message(data: bytes) -> bytes:
    """One of gRPC, not compressed."""
    return b"\0" + len(data).to_bytes(4, "big") + data


class Reader:
    """Cuts what comes into frames."""

    def __init__(self, skip: int = 0) -> None:
        self._skip = skip  # bytes of a preface
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Type, flags, stream, payload."""
        data = self._rest + data
        at, self._skip = self._skip, 0
        if len(data) < at:
            self._rest, self._skip = data, at
            return
        while len(data) - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at < 9 + size:
                break
            stream = int.from_bytes(data[at + 5 : at + 9], "big")
            yield data[at + 3], data[at + 4], stream, data[at + 9 : at + 9 + size]
            at += 9 + size
        self._rest = data[at:]
