"""What a TLS client asks for in its first message, read without ending TLS: a name and protocols.

The message may come in any number of reads and of TLS records (RFC 8446 sections 4.1.2 and 5.1);
the name is the extension `server_name` (RFC 6066 section 3), the protocols are those of ALPN
(RFC 7301 section 3.1). Nothing is decrypted, and whatever can't be understood only means that
nothing is known: the bytes are passed on as they came.
"""

from __future__ import annotations

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_ALPN = 16
_HOST_NAME = 0
_RECORD_HEAD = 5  # type, version, length
_MESSAGE_HEAD = 4  # type, length
_LARGEST_RECORD = 1 << 14
_LONGEST_NAME = 255


class _Broken(Exception):
    """What came is no ClientHello."""


class ClientHelloReader:
    """Fed with what a client sends until it is ``done``; then ``name`` is known, or "", and
    ``protocols`` are what ALPN offers.

    ``max_bytes`` is the largest message that is waited for. Each byte is looked at once, however
    small the pieces are, and no more than ``max_bytes`` and one record are kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.done = False
        self.name = ""
        self.protocols: tuple[bytes, ...] = ()
        self._max_bytes = max_bytes
        self._head = b""  # of a record, as far as it is here
        self._left = 0  # bytes of the current record that are to come
        self._message = bytearray()
        self._wanted = 0  # length of the message with its head; 0: not known yet

    def feed(self, data: bytes) -> bool:
        """Whether it is done."""
        at = 0
        try:
            while at < len(data) and not self.done:
                if self._left:
                    piece = data[at : at + self._left]
                    at += len(piece)
                    self._left -= len(piece)
                    self._take(piece)
                else:
                    need = _RECORD_HEAD - len(self._head)
                    self._head += data[at : at + need]
                    at += need
                    self._check_head()
        except _Broken:
            self.done = True
        return self.done

    def _check_head(self) -> None:
        """Refuse at the first byte that can't be right, so that nobody waits for more."""
        head = self._head
        if head[0] != _HANDSHAKE or (len(head) > 1 and head[1] != 3):
            raise _Broken
        if len(head) == _RECORD_HEAD:
            self._left = int.from_bytes(head[3:], "big")
            self._head = b""
            if not 0 < self._left <= _LARGEST_RECORD:
                raise _Broken

    def _take(self, piece: bytes) -> None:
        message = self._message
        message += piece[: self._wanted - len(message)] if self._wanted else piece
        if message[0] != _CLIENT_HELLO:
            raise _Broken
        if not self._wanted and len(message) >= _MESSAGE_HEAD:
            self._wanted = _MESSAGE_HEAD + int.from_bytes(message[1:_MESSAGE_HEAD], "big")
            if self._wanted > self._max_bytes:
                raise _Broken
        if self._wanted and len(message) >= self._wanted:
            body = bytes(message[_MESSAGE_HEAD : self._wanted])
            self.name, self.protocols = _name_and_protocols(body)
            self.done = True


class _Fields:
    """Reads fields one after the other; `_Broken` past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise _Broken
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Fields:
        """Bytes behind their length of ``size`` bytes."""
        return _Fields(self.take(self.number(size)))


def _name_and_protocols(body: bytes) -> tuple[str, tuple[bytes, ...]]:
    hello = _Fields(body)
    hello.take(2 + 32)  # version, random
    hello.vector(1)  # session
    hello.vector(2)  # cipher suites
    hello.vector(1)  # compression
    if not hello:
        return "", ()  # extensions may be missing altogether
    extensions = hello.vector(2)
    name: str | None = None
    protocols: tuple[bytes, ...] | None = None
    while extensions:
        kind, content = extensions.number(2), extensions.vector(2)
        # RFC 8446 4.2: no extension twice.
        if kind == _SERVER_NAME:
            if name is not None:
                raise _Broken
            name = _host_name(content)
        elif kind == _ALPN:
            if protocols is not None:
                raise _Broken
            protocols = _protocols(content)
    return name or "", protocols or ()


def _protocols(extension: _Fields) -> tuple[bytes, ...]:
    names = extension.vector(2)
    found = []
    while names:
        found.append(names.vector(1).rest())
    return tuple(found)


def _host_name(extension: _Fields) -> str:
    names = extension.vector(2)
    if names.number(1) != _HOST_NAME:
        raise _Broken
    raw = names.vector(2).rest()
    if not raw or len(raw) > _LONGEST_NAME or not raw.isascii() or not raw.decode().isprintable():
        raise _Broken
    return raw.decode().lower()
