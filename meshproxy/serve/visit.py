"""A downstream connection apart from its protocol: who came, where to, and what governs it now."""

from __future__ import annotations

import asyncio

from meshproxy.base.addr import Address
from meshproxy.plan.plan import ChainPlan
from meshproxy.record import Peer, Record, Secured
from meshproxy.serve.serving import Serving


class Visit:
    """``chain`` is the one found when the connection came, until `current` finds another."""

    def __init__(
        self,
        serving: Serving,
        chain: ChainPlan,
        listener: str,
        client: Address,
        local: Address,
        secured: Secured | None = None,
        direct: Address | None = None,
    ) -> None:
        self.serving = serving
        self.chain = chain
        self.listener = listener
        self.client = client
        self.local = local  # where the client was going
        self.direct = direct  # the socket's peer, where it has told of the client; else None
        self.secured = secured  # None: plain text
        self._own_tls = chain.tls  # that of the port, by which it came; None: the mesh's, or none
        self.welcome = True  # the chain lets in what came as this did
        self.peer = self._find_peer()

    def current(self) -> ChainPlan:
        """A plan governs the next request of every connection."""
        plan = self.serving.plans.current
        if self.chain.generation != plan.generation:
            chain = plan.chain(self.listener, self.local)
            if chain is not None:
                self.chain = chain
                self.peer = self._find_peer()
                self.welcome = self._may_enter(chain)
        return self.chain

    def _may_enter(self, chain: ChainPlan) -> bool:
        if self.secured is None:
            return not chain.refuse_plaintext
        return chain.mtls if self._own_tls is None else chain.tls == self._own_tls

    def _find_peer(self) -> Peer:
        known = self.chain.caller(self.client.ip)
        if self.secured is None:
            return known
        return self.serving.caller(known, self.secured.identity)

    def still_admitted(self) -> bool:
        self.current()
        return self.welcome

    def turn_away(self, transport: asyncio.Transport) -> None:
        """A new plan does not admit what was admitted when the connection came."""
        reason = self.chain.refuse_plaintext or "the TLS that it came by is not ended here any more"
        self.serving.turn_away(
            transport, self.listener, self.client, self.local, "not_admitted", reason
        )

    def record(self) -> Record:
        """The beginning of what will be known of a request."""
        serving, chain, secured = self.serving, self.chain, self.secured
        record = Record(serving.now(), serving.wall(), self.client, self.local)
        record.generation = chain.generation
        record.chain = chain
        record.peer = self.peer
        if self.direct is not None:
            record.direct = self.direct
        if secured is not None:
            record.secured = secured
            record.server_name = secured.server_name
        return record
