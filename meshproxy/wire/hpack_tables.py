"""What HPACK's two directions share (RFC 7541): the static table, integers, sizes.

Header lines are whole pairs of bytes. They are typed ``Any`` where they pass through tables:
compiled code would otherwise take each pair apart and put it together again.
"""

from __future__ import annotations

from typing import Any, Final

from hpack.table import HeaderTable

STATIC: Final[list[Any]] = [(b"", b""), *HeaderTable.STATIC_TABLE]  # entry 0 is not used
FIRST_DYNAMIC: Final = 62
OVERHEAD: Final = 32  # bytes that an entry counts beyond its own (section 4.1)
TABLE_SIZE: Final = 4096  # bytes; what both sides begin with (RFC 9113 6.5.2), and all we use


def size_of_line(pair: Any) -> int:
    """What a line counts in a table or a list (section 4.1)."""
    line: tuple[bytes, bytes] = pair
    return len(line[0]) + len(line[1]) + OVERHEAD


def integer(value: int, prefix: int, pattern: int) -> bytes:
    """``value`` in ``prefix`` bits and as many bytes as follow; ``pattern``: the bits before."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes((pattern | value,))
    made = [pattern | most]
    value -= most
    while value >= 128:
        made.append(128 | value & 127)
        value >>= 7
    made.append(value)
    return bytes(made)
