"""Look up a host's addresses: the hosts file first, then the name servers of ``resolv.conf``.

The C library's own resolver is not used because it tells no time to live, and keeps a thread busy
for every lookup. What it does is done here (nsswitch's ``files dns``): search domains by ``ndots``,
each server in turn, UDP first and TCP where an answer was cut short. Each query has a number that
can't be guessed and a socket of its own, so a port that can't be either (RFC 5452).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from meshproxy.aio.spawn import spawn
from meshproxy.base.addr import ServerAddr
from meshproxy.upstream.resolve import Fault, Found, Outcome
from meshproxy.wire.dns import (
    NXDOMAIN,
    RCODES,
    DnsError,
    Family,
    Reply,
    encode_question,
    read_reply,
)
from meshproxy.wire.resolv_conf import ResolvConf, candidates, parse_hosts, parse_resolv_conf

_log = logging.getLogger(__name__)

_LARGEST_FILE = 256 * 1024
_MOST_REMEMBERED = 4096  # names of which it is known which full name had an answer

T = TypeVar("T")


class _NoAnswer(Exception):
    """No server could say anything. ``silent``: none is even there, so asking on has no use."""

    def __init__(self, reason: str, silent: bool) -> None:
        super().__init__(reason)
        self.silent = silent


class DnsClient:
    """``servers``: asked instead of those of ``resolv.conf``."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        servers: tuple[ServerAddr, ...] = (),
        resolv_conf: str = "/etc/resolv.conf",
        hosts: str = "/etc/hosts",
    ) -> None:
        self.servers = servers
        self._loop = loop
        self._conf = _Parsed(resolv_conf, parse_resolv_conf)
        self._hosts = _Parsed(hosts, parse_hosts)
        self._answered: dict[str, str] = {}  # the full name that had an answer, by the short one
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, name: str, done: Callable[[Outcome], None]) -> None:
        """Look up a name; ``done`` is called from the loop, later."""

        async def work() -> None:
            done(await self.lookup(name))

        task = spawn(self._loop, work(), f"look up {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is on its way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def lookup(self, name: str) -> Outcome:
        """The addresses of a name, those of the preferred family (IPv4, where there is any)."""
        known = self._hosts.value.get(name.removesuffix(".").lower())
        if known:
            return Found(tuple(ip for ip in known if (":" in ip) == (":" in known[0])))
        conf = self._conf.value
        fault = Fault("no such name", denied=True)
        for full in self._full_names(name, conf):
            try:
                found = await self._look(full, conf)
            except _NoAnswer as error:
                fault = Fault(str(error))
                if error.silent:
                    return fault
                continue
            except DnsError as error:
                return Fault(str(error), denied=True)
            if found is not None:
                if full != name and len(self._answered) < _MOST_REMEMBERED:
                    self._answered[name] = full
                return found
        self._answered.pop(name, None)
        return fault

    def _full_names(self, name: str, conf: ResolvConf) -> tuple[str, ...]:
        """What had an answer the last time comes first: it saves asking for all the others."""
        names = candidates(name, conf)
        answered = self._answered.get(name)
        return tuple(dict.fromkeys((answered, *names))) if answered in names else names

    async def _look(self, full: str, conf: ResolvConf) -> Found | None:
        """None: there is no such name, or it has no address."""
        for family in _families():
            reply = await self._query(full, family, conf)
            if reply.addresses:
                return Found(reply.addresses, float(reply.ttl))
            if reply.code == NXDOMAIN:
                return None
        return None

    async def _query(self, full: str, family: Family, conf: ResolvConf) -> Reply:
        """The first reply that says something; raises `_NoAnswer` without one."""
        servers = self.servers or conf.servers
        reason, silent = "", True
        for _ in range(conf.attempts):
            for server in servers:
                try:
                    async with asyncio.timeout(conf.timeout):
                        reply = await self._exchange(server, full, family)
                except TimeoutError:
                    reason = f"no answer from {server} within {conf.timeout:g} s"
                except (OSError, EOFError) as error:
                    reason = f"no answer from {server}: {error}"
                else:
                    if reply.code in (0, NXDOMAIN):
                        return reply
                    reason = f"{server} says {RCODES.get(reply.code, reply.code)}"
                    silent = False
        raise _NoAnswer(reason, silent)

    async def _exchange(self, server: ServerAddr, full: str, family: Family) -> Reply:
        number = int.from_bytes(os.urandom(2), "big")
        question = encode_question(number, full, family)
        reply = await _by_udp(self._loop, server, question, number, full, family)
        if reply.truncated:
            data = await _by_tcp(server, question)
            try:
                reply = read_reply(data, number, full, family)
            except DnsError as error:
                raise EOFError(str(error)) from None
        return reply


async def _by_udp(
    loop: asyncio.AbstractEventLoop,
    server: ServerAddr,
    question: bytes,
    number: int,
    full: str,
    family: Family,
) -> Reply:
    """The first datagram from the server that answers the question; others are passed over."""
    reply: asyncio.Future[Reply] = loop.create_future()

    def take(data: bytes) -> Reply | None:
        try:
            return read_reply(data, number, full, family)
        except DnsError:
            return None

    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Datagrams(question, take, reply), remote_addr=(server.ip, server.port)
    )
    try:
        return await reply
    finally:
        transport.close()


class _Datagrams(asyncio.DatagramProtocol):
    """Sends the question, and takes what answers it."""

    def __init__(
        self,
        question: bytes,
        take: Callable[[bytes], Reply | None],
        reply: asyncio.Future[Reply],
    ) -> None:
        self._question = question
        self._take = take
        self._reply = reply

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        transport.sendto(self._question)

    def datagram_received(self, data: bytes, addr: object) -> None:
        found = self._take(data)
        if found is not None and not self._reply.done():
            self._reply.set_result(found)

    def error_received(self, exc: Exception) -> None:
        if not self._reply.done():
            self._reply.set_exception(exc)


async def _by_tcp(server: ServerAddr, question: bytes) -> bytes:
    """RFC 7766: a length of two bytes, and the message; 64 KiB at most by that."""
    reader, writer = await asyncio.open_connection(server.ip, server.port)
    try:
        writer.write(len(question).to_bytes(2, "big") + question)
        length = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(length)
    finally:
        writer.close()


def _families() -> tuple[Family, ...]:
    """IPv4 first; where this host reaches nothing by it, IPv6 first (Istio: by the pod's own)."""
    if not _routable(socket.AF_INET, "192.0.2.1") and _routable(socket.AF_INET6, "2001:db8::1"):
        return Family.AAAA, Family.A
    return Family.A, Family.AAAA


def _routable(family: socket.AddressFamily, address: str) -> bool:
    """Whether there is a way to an address of a family; nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError:
        return False
    return True


class _Parsed(Generic[T]):
    """A file's meaning, read again when it has changed; what is missing is empty."""

    def __init__(self, path: str, parse: Callable[[str], T]) -> None:
        self._path = Path(path)
        self._parse = parse
        self._seen: object = None
        self._value = parse("")

    @property
    def value(self) -> T:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                with self._path.open("rb") as file:
                    text = file.read(_LARGEST_FILE).decode("utf-8", "replace")
                if status.st_size > _LARGEST_FILE:
                    _log.warning("%s: only its first %d bytes are read", self._path, _LARGEST_FILE)
                self._value, self._seen = self._parse(text), seen
        except OSError:
            self._value, self._seen = self._parse(""), None
        return self._value
