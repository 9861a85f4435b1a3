"""The chunked transfer coding (RFC 9112 section 7), read strictly.

Chunks are cut by hand because the body's bytes are passed on as they come, several chunks of one
read joined to one piece. Strict means: hexadecimal digits only, CR LF only, and short size lines,
since lenient chunk readers are how requests are smuggled. Tests hold it to `h11`'s reading.
"""

from __future__ import annotations

import re

from meshproxy.wire.errors import TooLarge, WireError
from meshproxy.wire.framing import TOKEN
from meshproxy.wire.heads import Headers

MAX_SIZE_LINE = 256  # room for extensions, which nobody sends; h11 allows 16 KiB of them
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class ChunkedReader:
    """Cuts one chunked body. ``ended`` is set with its last byte; ``trailers`` may hold fields."""

    __slots__ = ("_left", "_max_trailers", "_max_trailers_bytes", "ended", "trailers")

    def __init__(self, max_trailers: int, max_trailers_bytes: int) -> None:
        self._left = 0  # payload bytes of the current chunk; -1: its CR LF; -2: in the trailers
        self._max_trailers = max_trailers
        self._max_trailers_bytes = max_trailers_bytes
        self.ended = False
        self.trailers: Headers = []

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """Payload in ``data``, and the bytes behind it that were not used yet.

        Not used are bytes of the next message (``ended``), or a cut-off line to be seen again with
        what follows. Raises ``WireError``.
        """
        pieces: list[bytes] = []
        at = 0
        while True:
            if self._left > 0:
                piece = data[at : at + self._left]
                if not piece:
                    break
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._left = -1
            if self._left == -1:
                if len(data) - at < 2 and b"\r\n".startswith(data[at:]):
                    break
                if data[at : at + 2] != b"\r\n":
                    raise WireError("a chunk is longer than its size says")
                at += 2
                self._left = 0
            if self._left == 0:
                end = self._line_end(data, at)
                if end < 0:
                    break
                self._left = self._size(data[at:end])
                at = end + 2
            if self._left == -2:
                at = self._read_trailers(data, at)
                break
        return b"".join(pieces) if len(pieces) != 1 else pieces[0], data[at:]

    def _line_end(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at, at + MAX_SIZE_LINE)
        if end < 0 and (len(data) - at >= MAX_SIZE_LINE or b"\n" in data[at:]):
            raise WireError("a chunk's size line is too long or does not end in CR LF")
        return end

    def _size(self, line: bytes) -> int:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise WireError("a chunk's size is not a hexadecimal number")
        return int(match[1], 16) or -2

    def _read_trailers(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self.ended = True
            return at + 2
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            if len(data) - at > self._max_trailers_bytes:
                raise TooLarge("trailers are larger than the limit")
            return at
        self.trailers = parse_fields(data[at:end], self._max_trailers)
        self.ended = True
        return end + 4


def parse_fields(block: bytes, limit: int) -> Headers:
    """Field lines without their last CR LF, parsed strictly; ``WireError`` if one is malformed."""
    lines = block.split(b"\r\n")
    if len(lines) > limit:
        raise TooLarge("more trailers than the limit")
    fields: Headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise WireError("a malformed trailer")
        fields.append((name, value))
    return fields
