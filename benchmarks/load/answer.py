"""Finding the end of an HTTP/1.1 answer: as little as a load generator needs of a parser."""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+) *\r\n", re.IGNORECASE)


class Answer:
    """Takes what comes on a connection until one answer is complete."""

    __slots__ = ("_length", "data", "status")

    def __init__(self) -> None:
        self.data = b""
        self.status = 0
        self._length = -1  # of head and body together, once the head is there

    def feed(self, data: bytes) -> bool:
        """Whether the answer is complete. Raises `ValueError` for what can't be measured."""
        self.data += data
        if self._length < 0:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.status = int(self.data[9:12])
            match = _LENGTH.search(self.data, 0, end + 2)
            if match is None:
                raise ValueError("an answer without Content-Length")
            self._length = end + 4 + int(match[1])
        if len(self.data) > self._length:
            raise ValueError("more than one answer to one request")
        return len(self.data) == self._length

    @property
    def body(self) -> bytes:
        return self.data[self.data.find(b"\r\n\r\n") + 4 :]
