"""Header blocks to header lines (RFC 7541), one connection's way in.

Lines that the peer has put into the dynamic table come out as the same pairs again, not read anew.
Every bound is on what is made: a block of a few bytes may name one long line many times.
"""

from __future__ import annotations

from typing import Any, Final

from meshproxy.wire.errors import WireError
from meshproxy.wire.heads import Headers
from meshproxy.wire.hpack_tables import FIRST_DYNAMIC, OVERHEAD, STATIC, TABLE_SIZE, size_of_line
from meshproxy.wire.huffman import decode as decode_huffman

_MOST_BYTES: Final = 5  # of an integer after its prefix: more than any length or index here
_SPARE: Final = 64  # evicted entries before the list is cut


class Decoder:
    """``max_list``: bytes of a header list, each line counted with 32 more (RFC 9113 6.5.2)."""

    def __init__(self, max_list: int) -> None:
        self.size = 0  # of the last list, whole even if not all of it was kept
        self._max_list = max_list
        self._entries: list[Any] = []  # oldest first
        self._first = 0  # entries before this one are evicted
        self._used = 0
        self._most = TABLE_SIZE

    def decode(self, block: bytes) -> Headers:
        """The lines of a whole block. Raises ``WireError`` where the two tables now differ.

        If `size` is more than ``max_list``, what is too much was read but not kept.
        """
        lines: list[Any] = []
        entries = self._entries
        size, at, end = 0, 0, len(block)
        may_resize = True
        while at < end:
            byte = block[at]
            if byte >= 0x80:  # section 6.1: a whole line from a table
                number = byte & 0x7F
                at += 1
                if number == 0x7F:
                    number, at = _integer(block, at, end, 0x7F)
                if number < FIRST_DYNAMIC:
                    if number == 0:
                        raise WireError("HPACK: index 0")
                    pair = STATIC[number]
                else:
                    place = len(entries) - 1 - (number - FIRST_DYNAMIC)
                    if place < self._first:
                        raise WireError("HPACK: an index beyond the table")
                    pair = entries[place]
                size += size_of_line(pair)
            elif byte & 0xE0 == 0x20:  # section 6.3
                if not may_resize:
                    raise WireError("HPACK: a table size update behind a line")
                number = byte & 0x1F
                at += 1
                if number == 0x1F:
                    number, at = _integer(block, at, end, 0x1F)
                if number > TABLE_SIZE:
                    raise WireError("HPACK: a table size over the limit")
                self._most = number
                self._evict(0)
                continue
            else:  # section 6.2: a literal, to be kept (0x40) or not
                keep = byte >= 0x40
                mask = 0x3F if keep else 0x0F
                number = byte & mask
                at += 1
                if number == mask:
                    number, at = _integer(block, at, end, mask)
                if number == 0:
                    name, at = _string(block, at, end)
                elif number < FIRST_DYNAMIC:
                    name = STATIC[number][0]
                else:
                    place = len(entries) - 1 - (number - FIRST_DYNAMIC)
                    if place < self._first:
                        raise WireError("HPACK: an index beyond the table")
                    name = entries[place][0]
                value, at = _string(block, at, end)
                pair = (name, value)
                cost = len(name) + len(value) + OVERHEAD
                size += cost
                if keep:
                    self._keep(pair, cost)
                    entries = self._entries
            may_resize = False
            if size <= self._max_list:
                lines.append(pair)
        self.size = size
        return lines

    def _keep(self, pair: Any, cost: int) -> None:
        self._evict(cost)
        if cost <= self._most:  # section 4.4: a line that is larger leaves the table empty
            self._entries.append(pair)
            self._used += cost

    def _evict(self, wanted: int) -> None:
        """Make room for ``wanted`` bytes."""
        entries, first = self._entries, self._first
        while self._used + wanted > self._most and first < len(entries):
            self._used -= size_of_line(entries[first])
            entries[first] = None
            first += 1
        if first > _SPARE:
            del entries[:first]
            first = 0
        self._first = first


def _integer(block: bytes, at: int, end: int, value: int) -> tuple[int, int]:
    """The rest of an integer whose prefix was full (section 5.1), and what comes next."""
    shift = 0
    last = min(end, at + _MOST_BYTES)
    while at < last:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise WireError("HPACK: an integer that is too long or has no end")


def _string(block: bytes, at: int, end: int) -> tuple[bytes, int]:
    """A string (section 5.2), and what comes next."""
    if at >= end:
        raise WireError("HPACK: a line without its end")
    byte = block[at]
    length = byte & 0x7F
    at += 1
    if length == 0x7F:
        length, at = _integer(block, at, end, 0x7F)
    stop = at + length
    if stop > end:
        raise WireError("HPACK: a string beyond the block")
    text = block[at:stop]
    if byte >= 0x80:
        text = decode_huffman(text)
    return text, stop
