"""A name server for tests: answers what it is told to, over UDP and TCP, and counts questions.

    with DnsServer({"db.example": ["10.0.0.1"]}, ttl=1) as dns:
        ...  # dns.address is HOST:PORT, dns.asked are the names in order

Messages are made here by hand, so that the codec that is tested does not test itself.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from tests.support.peers import LOCAL
from tests.support.sidecar import free_port

A, CNAME, AAAA = 1, 5, 28


def name_bytes(name: str) -> bytes:
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes((len(each),)) + each.encode() for each in labels) + b"\0"


def record(owner: str, type_: int, ttl: int, data: bytes) -> bytes:
    return name_bytes(owner) + struct.pack("!HHIH", type_, 1, ttl, len(data)) + data


def address_record(owner: str, ip: str, ttl: int = 60) -> bytes:
    family, type_ = (socket.AF_INET6, AAAA) if ":" in ip else (socket.AF_INET, A)
    return record(owner, type_, ttl, socket.inet_pton(family, ip))


def alias_record(owner: str, target: str, ttl: int = 60) -> bytes:
    return record(owner, CNAME, ttl, name_bytes(target))


def reply(
    question: bytes, *records: bytes, code: int = 0, truncated: bool = False, number: int = -1
) -> bytes:
    """An answer to a question, as it came."""
    own = struct.unpack("!H", question[:2])[0] if number < 0 else number
    flags = 0x8180 | code | (0x0200 if truncated else 0)
    head = struct.pack("!6H", own, flags, 1, len(records), 0, 0)
    return head + question[12:] + b"".join(records)


def asked_for(question: bytes) -> tuple[str, int]:
    """The name and the type in a question."""
    at, labels = 12, []
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    return ".".join(labels), struct.unpack("!H", question[at + 1 : at + 3])[0]


class DnsServer:
    """``names``: addresses by name; what is not there does not exist. All may be changed at any
    time. ``code``: an RCODE to answer everything with. ``silent``: nothing is answered at all.
    ``most``: addresses that go into a datagram; with more the client has to come by TCP."""

    def __init__(self, names: Mapping[str, Sequence[str]] = {}, ttl: int = 60) -> None:
        self.names = {name: list(found) for name, found in names.items()}
        self.ttl = ttl
        self.code = 0
        self.silent = False
        self.go_on = threading.Event()  # cleared: answers are held back
        self.go_on.set()
        self.most = 20
        self.asked: list[str] = []
        self.waiting: list[str] = []  # the question that is being answered
        self.by_tcp = 0
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket()
        self.port = free_port()
        self._udp.bind((LOCAL, self.port))
        self._tcp.bind((LOCAL, self.port))
        self._tcp.listen()
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._serve_udp, self._serve_tcp)
        ]

    @property
    def address(self) -> str:
        return f"{LOCAL}:{self.port}"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.go_on.set()
        for sock in (self._udp, self._tcp):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                question, client = self._udp.recvfrom(4096)
                if not question:
                    return
                self.waiting = [asked_for(question)[0]]
                self.go_on.wait()
                answer = self._answer(question, self.most)
                if answer:
                    self._udp.sendto(answer, client)

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._tcp.accept()
                with client:
                    length = int.from_bytes(client.recv(2, socket.MSG_WAITALL), "big")
                    self.by_tcp += 1
                    answer = self._answer(client.recv(length, socket.MSG_WAITALL), 10_000)
                    client.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, question: bytes, most: int) -> bytes:
        name, type_ = asked_for(question)
        self.asked.append(name)
        if self.silent:
            return b""
        if self.code:
            return reply(question, code=self.code)
        if name not in self.names:
            return reply(question, code=3)
        fitting = [ip for ip in self.names[name] if (":" in ip) == (type_ == AAAA)]
        if len(fitting) > most:
            return reply(question, truncated=True)
        return reply(question, *(address_record(name, ip, self.ttl) for ip in fitting))
