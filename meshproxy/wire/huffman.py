"""HPACK's Huffman code (RFC 7541 section 5.2), read a byte at a time.

The `hpack` package's table goes by half bytes. Here a step takes a whole one: what it makes of a
state and a byte is looked up once in that table and remembered. A byte completes at most two
symbols, as the shortest code has five bits.
"""

from __future__ import annotations

from typing import Final

from hpack.huffman_table import (
    HUFFMAN_COMPLETE,
    HUFFMAN_EMIT_SYMBOL,
    HUFFMAN_FAIL,
    HUFFMAN_TABLE,
)

from meshproxy.wire.errors import WireError

_NODES: Final = 256

# By state * 256 + byte: the symbols that are complete now, and the state after it. States that end
# with up to seven bits of padding are told by `_complete`. Filled as they are needed.
_symbols: Final[list[bytes | None]] = [None] * (_NODES * 256)
_after: Final[list[int]] = [0] * (_NODES * 256)
_complete: Final[list[bool]] = [True] + [False] * (_NODES - 1)


def decode(data: bytes) -> bytes:
    """Raises ``WireError`` for what no encoder makes, padding of more than seven bits included."""
    state = 0
    found: list[bytes] = []
    symbols_of, after = _symbols, _after
    for place in range(len(data)):
        at = state * 256 + data[place]
        symbols = symbols_of[at]
        if symbols is None:
            symbols = _learn(at)
        if symbols:
            found.append(symbols)
        state = after[at]
    if not _complete[state]:
        raise WireError("a Huffman string that does not end as one")
    return b"".join(found)


def _learn(at: int) -> bytes:
    state, byte = at >> 8, at & 255
    made = b""
    flags = 0
    for half in (byte >> 4, byte & 15):
        state, flags, symbol = HUFFMAN_TABLE[state * 16 + half]
        if flags & HUFFMAN_FAIL:
            raise WireError("a Huffman string with an end inside")
        if flags & HUFFMAN_EMIT_SYMBOL:
            made += bytes((symbol,))
    # Whether a string may end in a state is the same for every way that leads there: it holds the
    # bits since the last symbol, or, for the way by a fresh symbol, none.
    if flags & HUFFMAN_COMPLETE:
        _complete[state] = True
    _symbols[at] = made
    _after[at] = state
    return made
