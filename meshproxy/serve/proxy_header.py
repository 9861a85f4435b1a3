"""Before the gate: connections that begin by saying whose they are (PROXY protocol)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from meshproxy.aio.timers import Timer
from meshproxy.base.addr import Address
from meshproxy.model.listener import Application
from meshproxy.model.settings import Settings
from meshproxy.plan.plan import ChainPlan
from meshproxy.plan.proxy_protocol import Expected
from meshproxy.serve.serving import GRACE, Serving
from meshproxy.wire.errors import WireError
from meshproxy.wire.proxy_protocol import Ends, ProxyHeaderReader


class Owner(Protocol):
    """Who is told what the header says, or that the connection is lost."""

    listener: str

    def on_told(self, ends: Ends | None, rest: bytes) -> None:
        """``ends`` None: nothing is told. ``rest`` is what the connection really begins with."""
        ...

    def on_untold(self, word: str, reason: str) -> None:
        """There is no header where one must be, or a broken one; as in `Serving.turn_away`."""
        ...

    def connection_lost(self, exc: Exception | None) -> None: ...


def ask_whose(
    serving: Serving,
    chain: ChainPlan,
    transport: asyncio.Transport,
    owner: Owner,
    direct: Address,
    local: Address,
) -> None:
    """Tell the owner at once or when the header is read. ``direct`` is the socket's peer."""
    assert chain.expect is not None
    expected = chain.expect(local.port, direct.ip)
    if expected is Expected.NOTHING:
        owner.on_told(None, b"")
    elif expected is Expected.REFUSED:
        text = "the port takes connections by the PROXY protocol alone, and not from there"
        owner.on_untold("proxy_protocol_untrusted", text)
    else:
        listens = chain.application is not Application.HTTP and not chain.refuse_plaintext
        optional = expected is Expected.OPTIONAL
        ProxyHeader(serving, chain.settings, transport, owner, optional, listens)


class ProxyHeader(asyncio.Protocol):
    """The connection's protocol until the header is read.

    ``optional``: it may as well begin without. ``listens``: then the client may wait for the
    server to speak, so that silence says that there is no header.
    """

    def __init__(
        self,
        serving: Serving,
        settings: Settings,
        transport: asyncio.Transport,
        owner: Owner,
        optional: bool,
        listens: bool,
    ) -> None:
        self.listener = owner.listener
        self._serving = serving
        self._settings = settings
        self._transport = transport
        self._owner = owner
        self._reader = ProxyHeaderReader(optional)
        self._since = serving.now()
        self._quiet = True
        self._timer: Timer | None = None
        transport.set_protocol(self)
        serving.connections.add(self)
        if not optional:
            self._wait(settings.detect_limit)
        elif listens:
            self._wait(settings.detect_timeout)

    def _wait(self, seconds: float) -> None:
        self._timer = self._serving.timers.after(seconds, self._on_limit)

    def _leave(self) -> None:
        self._serving.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    # The transport calls these.

    def data_received(self, data: bytes) -> None:
        if self._quiet:
            self._quiet = False
            if self._timer is not None:
                self._timer.cancel()
            self._wait(self._settings.detect_limit)
        try:
            if self._reader.feed(data):
                self._tell()
        except WireError as error:
            self._refuse(error)

    def eof_received(self) -> bool:
        if not self._give_up():
            return False
        return bool(self._transport.get_protocol().eof_received())  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._owner.connection_lost(exc)

    # Deciding.

    def _on_limit(self) -> None:
        self._give_up()

    def _give_up(self) -> bool:
        """No more is waited for; whether the connection goes on without a header."""
        try:
            self._reader.give_up()
        except WireError as error:
            self._refuse(error)
            return False
        self._tell()
        return True

    def _tell(self) -> None:
        self._leave()
        self._owner.on_told(self._reader.ends, self._reader.rest)

    def _refuse(self, error: WireError) -> None:
        self._leave()
        self._owner.on_untold("proxy_protocol", error.reason)

    # The worker calls these.

    @property
    def busy(self) -> bool:
        return not self._quiet or self._serving.now() - self._since <= GRACE

    def check(self, now: float) -> None:
        if now - self._since > self._settings.downstream_idle_timeout:
            self._transport.close()

    def still_admitted(self) -> bool:
        """Who has not asked for anything yet is judged when it does."""
        return True

    def drain(self) -> None:
        if not self.busy:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
