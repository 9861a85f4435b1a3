"""CRC-32C (Castagnoli; RFC 9260 appendix A), which the standard library does not have."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78  # with its bits reversed, as the sum is made from the lowest bit on


def _row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_row(byte) for byte in range(256))


def crc32c(data: bytes) -> int:
    """The sum of all bytes, 0 to 2**32 - 1."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
