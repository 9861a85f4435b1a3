"""TLS between a transport and the protocol that uses it.

To the transport this is its protocol; to the protocol it is a transport. OpenSSL sees two memory
buffers and no socket. The loop's own TLS would do for most of it, but it can't end one direction,
swallows the alert that says why a handshake failed, and keeps more memory.

One read of the transport is one call of the protocol, however many records were in it, and all
that is written at once is one write.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from meshproxy.record import Secured
from meshproxy.tls.errors import TlsFailure, read_failure

Wrap = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]
"""Makes OpenSSL's object over what comes in and what goes out."""

_RECORD: Final = 16384  # the most plaintext in a record (RFC 8446 section 5.1)
_BULK: Final = 65536  # written in pieces of this, so that OpenSSL's buffers stay small


class Owner(Protocol):
    """Who started the handshake. Until it hands the layer on it is also the layer's protocol."""

    def on_secured(self, layer: TlsLayer) -> None:
        """The handshake is done: say in ``layer.secured`` who is there, and what follows is told to
        the layer's protocol. Where that stays None, nothing more is."""
        ...

    def on_handshake_failed(self, failure: TlsFailure) -> None:
        """It can't be done; the alert is written, and the transport is still open."""
        ...


class TlsLayer(asyncio.Transport):
    """``protocol`` is told what the peer says once the handshake is done."""

    def __init__(self, wrap: Wrap, owner: Owner, protocol: Any) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = wrap(self._incoming, self._outgoing)
        # OpenSSL's own methods, without what `ssl.SSLObject` wraps around each call.
        inner = getattr(self.tls, "_sslobj", self.tls)
        self._decrypt: Callable[[int], bytes] = inner.read
        self._encrypt: Callable[[Any], int] = inner.write
        self._take: Callable[[], bytes] = self._outgoing.read
        self._feed: Callable[[bytes], int] = self._incoming.write
        self.secured: Secured | None = None
        self._owner = owner
        self._protocol = protocol
        self._raw: Any = None
        self._established = False
        self._failed = False
        self._writable = False
        self._end_sent = False  # our close_notify has been written
        self._end_read = False  # the peer's has come
        self._half_open = False  # the protocol goes on writing after the peer's end
        self._closing = False
        self._error: Exception | None = None
        self.after_first_read: Callable[[], None] | None = None

    def start(self, raw: Any, data: bytes = b"") -> None:
        """Begin the handshake, with what has been read of it already."""
        self._raw = raw
        if data:
            self._incoming.write(data)
        self._shake()

    # The transport calls these.

    def connection_made(self, transport: Any) -> None:
        self.start(transport)

    def data_received(self, data: bytes) -> None:
        if self._failed:
            return
        self._feed(data)
        if self._established:
            self._read()
        else:
            self._shake()

    def eof_received(self) -> bool:
        if self._failed or self._closing:
            return False
        if not self._established:
            self._fail(TlsFailure("closed", "the peer ended the connection during the handshake"))
            return False
        if not self._end_read:
            # Without a close_notify nobody can tell the end from an attack (RFC 8446 section 6.1).
            self._error = TlsFailure("truncated", "the peer ended the connection without saying so")
            self._raw.abort()
            return False
        return self._half_open

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._writable = False
        if not self._established and not self._failed:
            self._failed = True
            self._owner.on_handshake_failed(
                TlsFailure("closed", "the peer closed the connection during the handshake")
            )
        self._protocol.connection_lost(self._error or exc)

    def pause_writing(self) -> None:
        if self._established:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._established:
            self._protocol.resume_writing()

    # Reading.

    def _shake(self) -> None:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._flush()  # the alert
            self._fail(read_failure(error))
            return
        self._established = self._writable = True
        self._flush()
        self._owner.on_secured(self)
        if self.secured is None:
            self._failed, self._writable = True, False
        elif self._incoming.pending and not self._closing:
            self._read()

    def _fail(self, failure: TlsFailure) -> None:
        self._failed = True
        self._owner.on_handshake_failed(failure)

    def _read(self) -> None:
        decrypt, incoming = self._decrypt, self._incoming
        pieces: list[bytes] = []
        ended = False
        try:
            while incoming.pending:
                piece = decrypt(_RECORD)
                if not piece:
                    ended = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError as error:
            self._error = read_failure(error)
        if self._outgoing.pending:
            self._flush()
        if self.after_first_read is not None:
            self.after_first_read()
            self.after_first_read = None
        if pieces:
            self._protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._error is not None:
            self._closing = True
            self._writable = False
            self._raw.close()
        elif ended and not self._end_read:
            self._end_read = True
            if not self._closing:
                self._half_open = bool(self._protocol.eof_received())
                if not self._half_open:
                    self.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    # The protocol calls these.

    def write(self, data: Any) -> None:
        if not data or not self._writable or self._raw.is_closing():
            return
        if len(data) <= _BULK:
            self._encrypt(data)
            self._raw.write(self._take())
            return
        view = memoryview(data)
        for at in range(0, len(data), _BULK):
            self._encrypt(view[at : at + _BULK])
            self._raw.write(self._take())

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Say that no more comes, and still read what does."""
        if self._closing or self._raw.is_closing():
            return
        self._send_end()
        self._raw.write_eof()

    def _send_end(self) -> None:
        if self._end_sent or not self._established:
            return
        self._end_sent = True
        self._writable = False
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # it is written all the same; the peer's own has not come yet
        self._flush()

    def close(self) -> None:
        if not self._closing:
            self._send_end()
            self._closing = True
            self._raw.close()

    def abort(self) -> None:
        self._closing = True
        self._writable = False
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._closing or bool(self._raw.is_closing())

    def pause_reading(self) -> None:
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._raw.resume_reading()

    def is_reading(self) -> bool:
        return bool(self._raw.is_reading())

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return int(self._raw.get_write_buffer_size())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "secured":
            return self.secured
        return self._raw.get_extra_info(name, default)
