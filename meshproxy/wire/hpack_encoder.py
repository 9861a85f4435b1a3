"""Header lines to header blocks (RFC 7541), one connection's way out.

A line goes into the dynamic table when it comes the second time: what differs from request to
request then never drives out what repeats. Strings are not Huffman coded: that would save a quarter
of the bytes of few lines, and cost both sides more than all else here.
"""

from __future__ import annotations

from typing import Any, Final

from meshproxy.wire.hpack_tables import (
    FIRST_DYNAMIC,
    OVERHEAD,
    STATIC,
    TABLE_SIZE,
    integer,
    size_of_line,
)

# Section 7.1.3: secrets are in no table, where a neighbour on the connection could guess at them.
_SECRET: Final = frozenset((b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"))
_MOST_SEEN: Final = 256  # lines that came once, before they are forgotten
_MOST_NAMES: Final = 1024
_LONGEST_NAME: Final = 64

_INDEXED: Final = [integer(at, 7, 0x80) for at in range(FIRST_DYNAMIC + TABLE_SIZE // OVERHEAD)]
_LENGTHS: Final = [integer(length, 7, 0) for length in range(1024)]
_STATIC_PAIRS: Final[dict[Any, bytes]] = {
    STATIC[at]: _INDEXED[at] for at in range(FIRST_DYNAMIC - 1, 0, -1)
}
_STATIC_NAMES: Final[dict[bytes, int]] = {
    STATIC[at][0]: at for at in range(FIRST_DYNAMIC - 1, 0, -1)
}

# How a literal with this name begins: not kept and never kept share the place, as a name is a
# secret's or is not.
_passing: Final[dict[bytes, bytes]] = {}
_kept: Final[dict[bytes, bytes]] = {}


class Encoder:
    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}  # lines in the table: how many were inserted up to it
        self._order: list[Any] = []  # oldest first
        self._first = 0  # entries before this one are evicted
        self._inserted = 0
        self._used = 0
        self._most = TABLE_SIZE
        self._least = TABLE_SIZE  # since the last block
        self._resized = False
        self._seen: set[Any] = set()

    def resize(self, size: int) -> None:
        """The peer's HEADER_TABLE_SIZE; the next block says what we make of it."""
        size = min(size, TABLE_SIZE)
        if size != self._most:
            self._resized = True
            self._least = min(self._least, size)
            self._most = size
            self._seen.clear()
            self._evict(0)

    def encode(self, headers: list[Any]) -> bytes:
        out: list[bytes] = []
        if self._resized:
            # Section 4.2: the smallest size in between, then the final one.
            if self._least < self._most:
                out.append(integer(self._least, 5, 0x20))
            out.append(integer(self._most, 5, 0x20))
            self._least = self._most
            self._resized = False
        numbers = self._numbers
        for pair in headers:
            number = numbers.get(pair)
            if number is not None:
                out.append(_INDEXED[FIRST_DYNAMIC + self._inserted - number])
                continue
            known = _STATIC_PAIRS.get(pair)
            if known is not None:
                out.append(known)
                continue
            line: tuple[bytes, bytes] = pair
            name, value = line
            length = len(value)
            cost = len(name) + length + OVERHEAD
            if pair in self._seen:
                self._insert(pair, cost)
                begin = _kept.get(name)
                if begin is None:
                    begin = _begin(name, 6, 0x40, _kept)
            else:
                begin = _passing.get(name)
                if begin is None:
                    begin = _begin(name, 4, 0x10 if name in _SECRET else 0, _passing)
                # What is large is not worth what it would drive out.
                if cost * 2 <= self._most and name not in _SECRET:
                    if len(self._seen) >= _MOST_SEEN:
                        self._seen.clear()
                    self._seen.add(pair)
            out.append(begin)
            out.append(_LENGTHS[length] if length < 1024 else integer(length, 7, 0))
            out.append(value)
        return b"".join(out)

    def _insert(self, pair: Any, cost: int) -> None:
        self._seen.discard(pair)
        self._evict(cost)
        self._inserted += 1
        self._numbers[pair] = self._inserted
        self._order.append(pair)
        self._used += cost

    def _evict(self, wanted: int) -> None:
        order, first = self._order, self._first
        while self._used + wanted > self._most and first < len(order):
            pair = order[first]
            del self._numbers[pair]
            self._used -= size_of_line(pair)
            first += 1
        if first > 64:
            del order[:first]
            first = 0
        self._first = first


def _begin(name: bytes, prefix: int, pattern: int, names: dict[bytes, bytes]) -> bytes:
    """A literal's first bytes, up to its value."""
    index = _STATIC_NAMES.get(name, 0)
    made = integer(index, prefix, pattern)
    if not index:
        made += integer(len(name), 7, 0) + name
    if len(names) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
        names[name] = made
    return made
