"""One end of a TCP connection, spoken to by hand, and HTTP/1 read from it without any cleverness.

    with Peer.connect(port) as client:
        client.send(request("GET", "/", host="shop"))
        answer = client.answer()
        assert answer.status == 200

Everything waits for `PATIENCE` at the longest and then fails, so that a hung program is a failed
test and not a hung one. What is read here is deliberately not read by the program's own codecs.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LOCAL = "127.0.0.1"
# Longest wait for a condition; a machine under load is slow, a missing event is for ever.
PATIENCE = 20.0
POLL = 0.01

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time: closing sends RST
_READ = 256 * 1024

Pairs = Iterable[tuple[str, str]]


def kernel_buffers() -> int:
    """Bytes that the kernel here takes at most for a connection that nobody reads from."""
    folder = Path("/proc/sys/net/ipv4")
    texts = [(folder / name).read_text(encoding="ascii") for name in ("tcp_rmem", "tcp_wmem")]
    return sum(int(text.split()[2]) for text in texts)


class Ended(Exception):
    """The other end closed before what was read was whole; the text holds what had come."""


def wait_until(
    condition: Callable[[], Any], what: str | Callable[[], str], patience: float = PATIENCE
) -> Any:
    """The condition's first true value. Fails with `what` was waited for."""
    end = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > end:
            text = what if isinstance(what, str) else what()
            raise TimeoutError(f"waited {patience:g} s for {text}")
        time.sleep(POLL)
    return found


@dataclass
class Message:
    """A request or an answer as it came: names in the spelling and order of the wire."""

    start: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    interim: list[Message] = field(default_factory=list)  # 1xx answers before this one

    @property
    def status(self) -> int:
        return int(self.start.split(" ", 2)[1])

    @property
    def method(self) -> str:
        return self.start.split(" ", 1)[0]

    @property
    def target(self) -> str:
        return self.start.split(" ")[1]

    @property
    def version(self) -> str:
        word = self.start.split(" ")[0 if self.start.startswith("HTTP/") else -1]
        return word.removeprefix("HTTP/")

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value for found, value in self.headers if found.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The one value of a header, or None; two are an error."""
        values = self.all(name)
        assert len(values) < 2, f"{name} comes {len(values)} times: {self.headers}"
        return values[0] if values else None

    def has(self, name: str, token: str) -> bool:
        """Whether a list header holds a token, whatever its case."""
        words = ",".join(self.all(name)).lower().split(",")
        return token.lower() in [word.strip() for word in words]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.headers]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def seen(self) -> Message:
        """The request that the echoing app received (`servers.App`), made from what it told."""
        told = self.json
        return Message(
            told["line"],
            [(name, value) for name, value in told["headers"]],
            told["body"].encode("latin-1"),
            [(name, value) for name, value in told["trailers"]],
        )


class Peer:
    """A connected socket with what was read from it and not yet used."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self._told_of_reset = False
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def connect(
        cls,
        port: int,
        host: str = LOCAL,
        receive_buffer: int = 0,
        patience: float = PATIENCE,
        source: str = "",
    ) -> Self:
        """``receive_buffer``: what the kernel keeps for a reader that does not read.

        ``source``: dial from this address. An address of its own tells a client's lines in an
        access log from those where its port was the proxy's.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.settimeout(patience)
            if source:
                sock.bind((source, 0))
            sock.connect((host, port))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    @property
    def name(self) -> tuple[str, int]:
        """The address of the other end."""
        return self.sock.getpeername()[:2]

    @property
    def own_name(self) -> tuple[str, int]:
        return self.sock.getsockname()[:2]

    # Writing.

    def send(self, data: bytes | str) -> Self:
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def send_quietly(self, data: bytes) -> bool:
        """Whether it could be sent; a peer that has gone is no error.

        The kernel tells of a reset once. If it is the writer that it tells, `ending` says it.
        """
        try:
            self.send(data)
        except (ConnectionError, TimeoutError) as error:
            self._told_of_reset = isinstance(error, ConnectionResetError)
            return False
        return True

    def end(self) -> Self:
        """Send no more (FIN); what comes can still be read."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    # Reading.

    def more(self) -> bytes:
        """What comes next, b"" at the end; left in `buffer` as well."""
        data = self.sock.recv(_READ)
        self.buffer += data
        return data

    def _need(self) -> None:
        if not self.more():
            raise Ended(f"after {self.buffer[:2000]!r}")

    def until(self, marker: bytes) -> bytes:
        """Everything up to a marker, with it."""
        while (at := self.buffer.find(marker)) < 0:
            self._need()
        return self._take(at + len(marker))

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._need()
        return self._take(count)

    def rest(self) -> bytes:
        """Everything until the other end sends no more."""
        while self.more():
            pass
        return self._take(len(self.buffer))

    def skip(self, count: int) -> int:
        """Read and forget so many bytes without keeping them; how many there were."""
        skipped = min(count, len(self.buffer))
        self._take(skipped)
        while skipped < count:
            data = self.sock.recv(min(_READ, count - skipped))
            if not data:
                break
            skipped += len(data)
        return skipped

    def ending(self, patience: float = PATIENCE) -> str:
        """How the other end closes: ``end`` (FIN) or ``reset``. What it still sends is kept."""
        self.sock.settimeout(patience)
        try:
            while self.more():
                pass
        except ConnectionResetError:
            return "reset"
        finally:
            self.sock.settimeout(PATIENCE)
        return "reset" if self._told_of_reset else "end"

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long, not even an end."""
        self.sock.settimeout(seconds)
        try:
            self.more()
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(PATIENCE)
        return False

    def _take(self, count: int) -> bytes:
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    # HTTP/1.

    def head(self) -> Message:
        """A start line and headers; the spelling stays."""
        block = self.until(b"\r\n\r\n").decode("latin-1")
        start, *lines = block.removesuffix("\r\n\r\n").split("\r\n")
        return Message(start, [_pair(line) for line in lines])

    def request(self) -> Message:
        """A whole request."""
        message = self.head()
        self.body_of(message)
        return message

    def body_of(self, message: Message) -> None:
        """Read the body of a request whose head was read."""
        if message.has("transfer-encoding", "chunked"):
            message.body, message.trailers = self._chunked()
        elif length := message.get("content-length"):
            message.body = self.exactly(int(length))

    def answer(self, method: str = "GET") -> Message:
        """A whole answer; 1xx before it stand in its ``interim``."""
        interim = []
        message = self.head()
        while 100 <= message.status < 200 and message.status != 101:
            interim.append(message)
            message = self.head()
        message.interim = interim
        if method == "HEAD" or message.status in (101, 204, 304):
            return message
        if message.has("transfer-encoding", "chunked"):
            message.body, message.trailers = self._chunked()
        elif (length := message.get("content-length")) is not None:
            message.body = self.exactly(int(length))
        else:
            message.body = self.rest()
        return message

    def _chunked(self) -> tuple[bytes, list[tuple[str, str]]]:
        pieces = []
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            pieces.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n", "a chunk is longer than its size"
        trailers = []
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers.append(_pair(line.decode("latin-1").removesuffix("\r\n")))
        return b"".join(pieces), trailers

    def ask(
        self,
        path: str = "/",
        method: str = "GET",
        host: str = "app",
        headers: Pairs = (),
        body: bytes = b"",
    ) -> Message:
        """One request and its answer; the connection stays open."""
        self.send(request(method, path, host, headers, body))
        return self.answer(method)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip(" \t")


def request(
    method: str = "GET",
    path: str = "/",
    host: str = "app",
    headers: Pairs = (),
    body: bytes = b"",
) -> bytes:
    """A request of HTTP/1.1 as bytes."""
    fields = [("Host", host), *headers]
    if body:
        fields.append(("Content-Length", str(len(body))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def ask(
    port: int,
    path: str = "/",
    method: str = "GET",
    host: str = "app",
    headers: Pairs = (),
    body: bytes = b"",
) -> Message:
    """One request on a connection of its own."""
    with Peer.connect(port) as client:
        return client.ask(path, method, host, headers, body)


def say(port: int, data: bytes | str, method: str = "GET") -> Message:
    """Bytes on a connection of their own, and the answer to them."""
    with Peer.connect(port) as client:
        return client.send(data).answer(method)


@contextlib.contextmanager
def peers(count: int, port: int) -> Iterator[list[Peer]]:
    """So many connections at once."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Peer.connect(port)) for _ in range(count)]
