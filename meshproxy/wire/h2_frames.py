"""HTTP/2 frames as numbers and bytes (RFC 9113 sections 4 to 6)."""

from __future__ import annotations

from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
FRAME_BYTES: Final = 16_384  # most of a payload; we never ask for more than the default

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6
ENABLE_CONNECT_PROTOCOL: Final = 8

WINDOW: Final = 65_535  # of the connection and of each stream, until somebody says otherwise
MAX_WINDOW: Final = 2**31 - 1
MAX_STREAM: Final = 2**31 - 1

_HEAD: Final = Struct(">HBBBI")
_FOUR: Final = Struct(">HBBBII")
_EIGHT: Final = Struct(">HBBBIII")
_SETTING: Final = Struct(">HI")


# Found once: to look a method up costs half of the call.
_pack: Final = _HEAD.pack


def head(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    return _pack(length >> 8, length & 0xFF, kind, flags, stream_id)


def rst_stream(stream_id: int, code: int) -> bytes:
    return _FOUR.pack(0, 4, RST_STREAM, 0, stream_id, code)


def window_update(stream_id: int, by: int) -> bytes:
    return _FOUR.pack(0, 4, WINDOW_UPDATE, 0, stream_id, by)


def go_away(last_id: int, code: int) -> bytes:
    return _EIGHT.pack(0, 8, GOAWAY, 0, 0, last_id, code)


def settings(values: dict[int, int]) -> bytes:
    payload = b"".join([_SETTING.pack(key, value) for key, value in values.items()])
    return head(len(payload), SETTINGS, 0, 0) + payload


PING_ASK: Final = head(8, PING, 0, 0) + bytes(8)
SETTINGS_ACK: Final = head(0, SETTINGS, ACK, 0)
