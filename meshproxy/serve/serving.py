"""What every downstream connection of a worker shares."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Protocol
from wsgiref.handlers import format_date_time

from meshproxy.aio.reset import reset
from meshproxy.aio.timers import Timers
from meshproxy.base.addr import Address
from meshproxy.base.clock import Clock
from meshproxy.model.workload import Workload
from meshproxy.plan.plan import Plans
from meshproxy.record import UNKNOWN_PEER, Peer
from meshproxy.serve.ledger import Ledger
from meshproxy.telemetry.metrics import Counters
from meshproxy.upstream.upstreams import Upstreams
from meshproxy.wire.codecs import MakeCodec, MakeReader

_MOST_STRANGERS = 1024
_MOST_SENTENCES = 10  # about connections refused for one reason, in a second
GRACE = 0.4  # seconds that a fresh connection is left open when draining: a request may be coming

_log = logging.getLogger(__name__)


class Connection(Protocol):
    """What a worker has to be able to do with any downstream connection."""

    listener: str

    @property
    def busy(self) -> bool:
        """Whether something is in flight on it."""
        ...

    def check(self, now: float) -> None:
        """Called now and then: close what has waited too long."""
        ...

    def still_admitted(self) -> bool:
        """Whether the newest plan lets in what came as this did."""
        ...

    def drain(self) -> None:
        """Finish what is in flight, say that no more is wanted, then close."""
        ...

    def abort(self) -> None: ...


class Limits(Protocol):
    """Counts that are true over all workers (`runtime/page.py`)."""

    def connection_opened(self, most: int) -> bool:
        """Count one more downstream connection; False if there are ``most`` already."""
        ...

    def connection_closed(self) -> None: ...


class Serving:
    """Handed to every connection. Plain attributes: the data path reads them all the time."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        plans: Plans,
        timers: Timers,
        upstreams: Upstreams,
        counters: Counters,
        limits: Limits,
        reader: MakeReader,
        http2: MakeCodec,
        draw: Callable[[], float],
        ledger: Ledger | None = None,
    ) -> None:
        self.loop = loop
        self.now = clock.monotonic
        self.wall = clock.wall
        self.plans = plans
        self.timers = timers
        self.upstreams = upstreams
        self.outbox = upstreams.outbox
        self.store = upstreams.store
        self.faces = upstreams.store.faces
        self._refusals: dict[str, int] = {}  # in this second, by the word for their reason
        self.handshakes = 0  # of callers, going on now
        self._by_identity: dict[str, Peer] = {}
        self.counters = counters
        self.limits = limits
        self.reader = reader
        self.http2 = http2
        self.draw = draw
        self.ledger = ledger or Ledger()
        self.connections: set[Connection] = set()
        self.draining_inbound = False
        self.date = b""
        self._entropy = ""  # hexadecimal digits, and how many of them have been used
        self._used = 0
        self._set_date()
        timers.every(1.0, self._set_date)
        timers.every(1.0, self._check_all)
        timers.every(1.0, self._sum_up)

    def request_id(self) -> bytes:
        """A new UUID version 4 (RFC 9562); random bytes are fetched from the system in batches."""
        at = self._used
        if at >= len(self._entropy):
            self._entropy, at = os.urandom(4096).hex(), 0
        self._used = at + 32
        digits = self._entropy[at : at + 32]
        variant = "89ab"[int(digits[16], 16) & 3]
        return (
            f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
        ).encode()

    def caller(self, known: Peer, identity: str) -> Peer:
        """Who calls, when the workload that is known at the address may be somebody else.

        Addresses are taken over and translated; what a certificate says is sure.
        """
        parts = identity.split("/")
        if len(parts) != 7 or (parts[3], parts[5]) != ("ns", "sa"):
            return known  # not of Istio's form: spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT
        namespace, account = parts[4], parts[6]
        workload = known.workload
        if (workload.namespace, workload.service_account or "default") == (namespace, account):
            return known
        peer = self._by_identity.get(identity)
        if peer is None:
            if len(self._by_identity) >= _MOST_STRANGERS:
                return UNKNOWN_PEER
            workload = Workload(namespace=namespace, service_account=account)
            peer = self._by_identity[identity] = Peer(workload)
        return peer

    def count(self, name: str, *labels: str) -> None:
        self.counters.add(name, labels)

    def turn_away(
        self,
        transport: asyncio.Transport,
        listener: str,
        client: Address,
        local: Address,
        word: str,
        reason: str,
    ) -> None:
        """Refuse a connection: reset, count, and say so."""
        self.refused(listener, client, local, word, reason)
        reset(transport)

    def refused(
        self, listener: str, client: Address, local: Address, word: str, reason: str
    ) -> None:
        """``word`` is one of a small set, for the metric; ``reason`` a sentence for the log."""
        self.count("meshproxy_connections_refused_total", listener, word)
        said = self._refusals[word] = self._refusals.get(word, 0) + 1
        if said <= _MOST_SENTENCES:
            _log.warning("refused %s on its way to %s: %s", client, local, reason)

    def _set_date(self) -> None:
        self.date = format_date_time(int(self.wall())).encode()

    def _sum_up(self) -> None:
        """Whoever is refused can come again at once, and shall neither fill the log nor keep what
        is wrong with others out of it."""
        for word, count in self._refusals.items():
            if count > _MOST_SENTENCES:
                unsaid = count - _MOST_SENTENCES
                _log.warning("refused %d more connections within a second: %s", unsaid, word)
        self._refusals.clear()

    def _check_all(self) -> None:
        now = self.now()
        for connection in list(self.connections):
            connection.check(now)


def address_of(name: object) -> Address:
    """A socket name as an address; IPv4 mapped into IPv6 becomes IPv4."""
    if not isinstance(name, tuple) or len(name) < 2:
        return Address("", 0)
    ip = str(name[0])
    return Address(ip.removeprefix("::ffff:") if "." in ip else ip, int(name[1]))
