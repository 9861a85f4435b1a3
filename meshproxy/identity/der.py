"""DER (ITU-T X.690 section 10), as much of it as a certificate needs.

Each value is a tag, a length and its content; nothing is read beyond the bytes that are there, and
what has a second way to be written is refused, as DER demands.
"""

from __future__ import annotations

from datetime import UTC, datetime

from meshproxy.identity.errors import IdentityError

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
UTF8, NUMERIC, PRINTABLE, TELETEX, IA5 = 0x0C, 0x12, 0x13, 0x14, 0x16
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
VISIBLE, UNIVERSAL, BMP = 0x1A, 0x1C, 0x1E
SEQUENCE, SET = 0x30, 0x31

_LONG_TAG = 0x1F
_LONGEST_OID = 64
_LONGEST_INTEGER = 64  # a serial number has at most 20 bytes (RFC 5280 4.1.2.2)


class Reader:
    """Reads the values of one content, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def peek(self) -> int:
        """The next value's tag; -1 at the end."""
        return self._data[self._at] if self else -1

    def any(self) -> tuple[int, bytes]:
        """The next value, whatever it is: its tag and content."""
        data, at = self._data, self._at
        if len(data) - at < 2 or data[at] & _LONG_TAG == _LONG_TAG:
            raise IdentityError("the certificate is no DER: a value ends early or has a long tag")
        length, start = data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[start : start + size], "big")
            start += size
            if not 0 < size <= 4 or length < 0x80 or length >> 8 * (size - 1) == 0:
                raise IdentityError("the certificate is no DER: a length is not the shortest")
        if start + length > len(data):
            raise IdentityError("the certificate is no DER: a value is longer than what holds it")
        self._at = start + length
        return data[at], data[start : self._at]

    def take(self, tag: int) -> bytes:
        """The content of the next value, which must have this tag."""
        if self.peek() != tag:
            raise IdentityError(f"the certificate has not the value 0x{tag:02x} where it must be")
        return self.any()[1]

    def optional(self, tag: int) -> bytes | None:
        return self.take(tag) if self.peek() == tag else None

    def enter(self, tag: int = SEQUENCE) -> Reader:
        return Reader(self.take(tag))

    def end(self) -> None:
        if self:
            raise IdentityError("the certificate has values that nothing is known of")


def boolean(content: bytes | None) -> bool:
    if content is None:
        return False
    if content not in (b"\x00", b"\xff"):
        raise IdentityError("the certificate has a truth value that is neither")
    return content == b"\xff"


def integer(content: bytes) -> int:
    if not 0 < len(content) <= _LONGEST_INTEGER:
        raise IdentityError(f"the certificate has a number of {len(content)} bytes")
    return int.from_bytes(content, "big", signed=True)


def bits(content: bytes) -> tuple[int, ...]:
    """The numbers of the bits that are set; the first bit has number 0."""
    if not content or content[0] > 7 or len(content) > 1 + 8:
        raise IdentityError("the certificate has a bit string that can't be one")
    size = 8 * (len(content) - 1) - content[0]
    return tuple(n for n in range(size) if content[1 + n // 8] & 0x80 >> n % 8)


def oid(content: bytes) -> str:
    """An object identifier as numbers with dots."""
    if not 0 < len(content) <= _LONGEST_OID or content[-1] & 0x80:
        raise IdentityError("the certificate has an object identifier that can't be one")
    parts: list[int] = []
    value = 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            parts.append(value)
            value = 0
    first = min(parts[0] // 40, 2)
    return ".".join(map(str, (first, parts[0] - 40 * first, *parts[1:])))


def ascii_text(content: bytes) -> str:
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise IdentityError("the certificate has a name that is not ASCII") from None


def seconds(tag: int, content: bytes) -> float:
    """A time, in seconds since the epoch (RFC 5280 section 4.1.2.5: with seconds, and UTC)."""
    text = content.decode("latin-1")
    if tag == UTC_TIME and len(text) == 13:
        text = ("19" if text[:2] >= "50" else "20") + text
    digits = text[:-1]
    fits = tag in (UTC_TIME, GENERALIZED_TIME) and len(text) == 15 and text[-1] == "Z"
    if fits and digits.isascii() and digits.isdigit():
        parts = [int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2))]
        try:
            return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]
        except ValueError:
            pass  # the 30th of February
    raise IdentityError("the certificate has a time that is none")
