"""Servers that misbehave on purpose, and one app that does so by path.

A server runs a function for each connection, in a thread of its own:

    with Server(lambda peer: peer.reset()) as server:
        ...server.port...

`App` is an HTTP/1 server written by hand. Which of its tricks a request gets is in the path, so
that one app serves a whole module of tests; ``/`` answers with what it was sent, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from tests.support.peers import LOCAL, Ended, Message, Peer

Behave = Callable[[Peer], None]

_PIECE = b"0123456789abcdef" * 4096  # 64 KiB


class Server:
    """Accepts, and behaves. ``accepted`` counts connections, ``peers`` are all there were, and
    ``cut_off`` counts those that broke while something was read from them or written to them.

    An assertion that fails in ``behave`` fails the test when the server closes.
    """

    def __init__(self, behave: Behave, address: str = LOCAL, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._behave = behave
        self._socket = socket.create_server((address, port), family=family, backlog=512)
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None
        self._closing = False
        self.address = address
        self.port: int = self._socket.getsockname()[1]
        self.accepted = self.cut_off = 0
        self.peers: list[Peer] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            if self._closing:
                sock.close()
                return
            self.accepted += 1
            peer = Peer(sock)
            self.peers.append(peer)
            thread = threading.Thread(target=self._run, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, peer: Peer) -> None:
        try:
            self._behave(peer)
        except (OSError, Ended):
            self.cut_off += 1
        except BaseException as error:
            self._failure = self._failure or error
        finally:
            peer.close()

    @property
    def open(self) -> int:
        """Connections whose behaviour has not ended."""
        return sum(thread.is_alive() for thread in self._threads)

    def stop_listening(self) -> None:
        """Further connections are refused; those that are open go on."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._acceptor.join()
        self._socket.close()

    def close(self) -> None:
        """End everything; raise what went wrong in a behaviour."""
        self.stop_listening()
        for peer in self.peers:
            # A thread may be reading from it: wake that up, and let it close.
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5.0)
        for peer in self.peers:
            peer.close()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def silent(peer: Peer) -> None:
    """Says nothing and reads everything, until the other end ends."""
    peer.sock.settimeout(None)
    while peer.sock.recv(65536):
        pass


def echo_bytes(peer: Peer) -> None:
    """Sends back what comes; ends its side when the other has ended."""
    peer.sock.settimeout(None)
    while data := peer.sock.recv(65536):
        peer.sock.sendall(data)


def banner(text: bytes) -> Behave:
    """Speaks first, as SMTP and MySQL do, and then echoes."""

    def behave(peer: Peer) -> None:
        peer.send(text)
        echo_bytes(peer)

    return behave


def answer(
    status: int = 200,
    body: bytes = b"",
    headers: str = "",
    version: str = "1.1",
) -> bytes:
    """An answer of known length; ``headers`` are lines with their ends."""
    head = f"HTTP/{version} {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode("latin-1") + body


class App(Server):
    """An HTTP/1 app; see the methods below for what each path does.

    ``name`` stands in the answer of ``/``. ``requests`` are the heads of all requests so far,
    ``sent`` and ``taken`` count body bytes of ``/endless`` and ``/sink``, ``left`` those who gave
    up waiting for ``/never``.
    """

    def __init__(self, name: str = "app", address: str = LOCAL, port: int = 0) -> None:
        self.name = name
        self.requests: list[Message] = []
        self.sent = 0
        self.taken = 0
        self.left = 0
        self.heard = b""  # after ``/upgrade?end``
        self.released = threading.Event()  # lets ``/hold`` and ``/slow-sink`` go on
        self._lock = threading.Lock()
        super().__init__(self._serve, address, port)

    def _serve(self, peer: Peer) -> None:
        peer.sock.settimeout(None)
        at = 0
        while peer.buffer or peer.more():
            head = peer.head()
            at += 1
            with self._lock:
                self.requests.append(head)
            path, _, query = head.target.partition("?")
            if path.startswith("http"):
                path = "/" + path.split("/", 3)[-1]
            name = "connect" if head.method == "CONNECT" else path.strip("/").replace("-", "_")
            do = getattr(self, f"do_{name}", self.do_)
            if not do(peer, head, dict(parse_qsl(query, keep_blank_values=True)), at):
                return
            if head.has("connection", "close"):
                return

    def count(self, path: str) -> int:
        """How many requests for a path have come."""
        with self._lock:
            return sum(head.target.partition("?")[0] == path for head in self.requests)

    # Each returns whether the connection stays open. ``at`` counts requests of the connection.

    def do_(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """What it was sent, as JSON; an ``Expect`` is answered first."""
        if head.has("expect", "100-continue"):
            peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        peer.body_of(head)
        told = {
            "app": self.name,
            "line": head.start,
            "headers": head.headers,
            "body": head.body.decode("latin-1"),
            "trailers": head.trailers,
            "peer": peer.name,
            "local": peer.own_name,
            "connection": self.peers.index(peer),
            "at": at,
        }
        fields = f"Content-Type: application/json\r\nX-App: {self.name}\r\n"
        text = json.dumps(told).encode()
        peer.send(answer(200, b"" if head.method == "HEAD" else text, fields))
        return True

    def do_bytes(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """``n`` bytes of known length."""
        left = int(query["n"])
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n")
        while left:
            piece = _PIECE[:left]
            peer.sock.sendall(piece)
            self.sent += len(piece)
            left -= len(piece)
        return True

    def do_chunked(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """The pieces of ``of`` (by commas) as chunks, then a trailer."""
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        pieces = query["of"].split(",")
        for piece in pieces:
            peer.send(f"{len(piece):x}\r\n{piece}\r\n")
        peer.send(f"0\r\nX-Sum: {len(''.join(pieces))}\r\nX-App: {self.name}\r\n\r\n")
        return True

    def do_until_close(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """An answer whose end is the connection's."""
        peer.send(f"HTTP/1.1 200 OK\r\n\r\n{query['body']}")
        return False

    def do_http10(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """A server of HTTP/1.0, which closes unless ``keep`` is asked for."""
        if "keep" in query:
            peer.send(answer(200, b"kept", "Connection: keep-alive\r\n", "1.0"))
            return True
        peer.send("HTTP/1.0 200 OK\r\n\r\nold")
        return False

    def do_status(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """A status, with a body if ``body`` is given."""
        peer.body_of(head)
        code = int(query["code"])
        if code in (204, 304):
            peer.send(f'HTTP/1.1 {code} X\r\nETag: "e"\r\n\r\n')
        elif head.method == "HEAD":
            peer.send(f"HTTP/1.1 {code} X\r\nContent-Length: {query['length']}\r\n\r\n")
        else:
            peer.send(answer(code, query.get("body", "").encode()))
        return True

    def do_hints(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """102 and 103 before the answer."""
        peer.send("HTTP/1.1 102 Processing\r\n\r\n")
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        peer.send(answer(200, b"done"))
        return True

    def do_refuse(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """The final answer at once, without reading the body that was announced."""
        peer.send(answer(417, b"not that"))
        peer.ending()
        return False

    def do_close(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """No answer, but an end."""
        return False

    def do_reset(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """No answer, but a reset."""
        peer.reset()
        return False

    def do_partial(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """Half an answer, then an end, or a ``reset``."""
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        if "reset" in query:
            # Only once the other end has it: a reset throws away what was not yet read.
            peer.silent(0.1)
            peer.reset()
        return False

    def do_partial_chunked(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """Some chunks, and no last one."""
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        return False

    def do_raw(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """Whatever ``text`` says instead of an answer, then an end."""
        peer.send(query["text"])
        return False

    def do_slow(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """An answer after ``ms``."""
        peer.body_of(head)
        time.sleep(int(query["ms"]) / 1000)
        peer.send(answer(200, b"slow"))
        return True

    def do_hold(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """An answer once the test sets ``released``."""
        peer.body_of(head)
        self.released.wait(30)
        peer.send(answer(200, b"released " + self.name.encode()))
        return True

    def do_never(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """No answer until the other end has gone."""
        silent(peer)
        self.left += 1
        return False

    def do_drip(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """A head and one byte at once; the rest once ``released``."""
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd")
        self.released.wait(30)
        peer.send("ripp")
        return True

    def do_endless(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """Chunks until nobody takes them, or half a gigabyte of them."""
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        framed = b"%x\r\n%b\r\n" % (len(_PIECE), _PIECE)
        for _ in range((512 << 20) // len(_PIECE)):
            peer.sock.sendall(framed)
            self.sent += len(_PIECE)
        return False

    def do_sink(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """Reads a body of known length without keeping it; ``hold``: not until ``released``."""
        if "hold" in query:
            self.released.wait(30)
        left = int(head.get("content-length") or 0)
        while left:
            got = peer.skip(min(left, 1 << 20))
            if not got:
                return False
            self.taken += got
            left -= got
        peer.send(answer(200, str(self.taken).encode()))
        return True

    def do_upgrade(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """Agrees to whatever is asked for, greets, then echoes; ends when the other has ended.

        ``end``: ends its side after the greeting, and reads on.
        """
        token = head.get("upgrade")
        assert token, "nothing to upgrade to"
        peer.send(
            f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {token}\r\n"
            "X-Chosen: yes\r\n\r\nhello "
        )
        if peer.buffer:
            peer.send(peer.buffer)
        if "end" in query:
            peer.end()
            self.heard = peer.rest()
            return False
        echo_bytes(peer)
        peer.send("bye")
        return False

    def do_flood(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """Agrees to whatever is asked for, and sends until nobody takes it, or half a gigabyte."""
        token = head.get("upgrade")
        peer.send(f"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: {token}\r\n\r\n")
        for _ in range((512 << 20) // len(_PIECE)):
            peer.sock.sendall(_PIECE)
            self.sent += len(_PIECE)
        return False

    def do_break(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """Agrees, and resets the connection once it has heard a word."""
        token = head.get("upgrade")
        peer.send(f"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: {token}\r\n\r\n")
        peer.more()
        peer.reset()
        return False

    def do_connect(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """Agrees to CONNECT, or refuses it where the port is 1, and then echoes."""
        if head.target.endswith(":1"):
            peer.send(answer(403, b"not there"))
            return True
        peer.send("HTTP/1.1 200 Connected\r\n\r\n")
        echo_bytes(peer)
        return False

    def do_fields(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """An answer with fields of every kind that a proxy has an opinion on."""
        peer.send(
            answer(
                200,
                b"ok",
                "X-MiXed-Case: Yes\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nServer: app/1\r\n"
                "Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
                "X-Envoy-Upstream-Service-Time: 99\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n",
            )
        )
        return True

    def do_many_fields(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """``n`` header fields of ``size`` bytes each."""
        size = int(query.get("size", "1"))
        fields = "".join(f"X-{at}: {'v' * size}\r\n" for at in range(int(query["n"])))
        peer.send(answer(200, b"", fields))
        return True
