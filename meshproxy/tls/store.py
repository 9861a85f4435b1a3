"""A worker's certificates as contexts that are ready for use, and sessions to resume.

A context belongs to the secret that it was made of: with a new certificate or other roots it is
made anew, and the sessions of the old one are forgotten with it.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import NamedTuple

from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.model.secret import WORKLOAD, Secret, SecretRef
from meshproxy.model.tls import DownstreamTls, ServerMode, TlsMode, TlsParameters, UpstreamTls
from meshproxy.tls.material import client_context, server_context
from meshproxy.tls.peer import Faces

_log = logging.getLogger(__name__)

SERVER_ALPN = ("h2", "http/1.1", "http/1.0")
MESH = DownstreamTls(ServerMode.MUTUAL, WORKLOAD)
_NOTHING = Secret()
MOST_SESSIONS = 1024  # of one context


class ClientSide:
    """How one kind of upstream is called: a context, and the sessions that servers gave us."""

    def __init__(self, context: ssl.SSLContext, secret: Secret, until: float = inf) -> None:
        """``until``: as in `ServerSide`."""
        self.context = context
        self.secret = secret
        self.until = until
        self._sessions: dict[str, ssl.SSLSession] = {}

    def wrap(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server: str, name: str
    ) -> ssl.SSLObject:
        """``server``: whose session may be resumed. ``name``: for SNI; "" for none."""
        return self.context.wrap_bio(
            incoming,
            outgoing,
            server_hostname=name or None,
            session=self._sessions.get(server),
        )

    def keep_session(self, server: str, tls: ssl.SSLObject) -> None:
        """Remember what the server offers for the next connection, if it offers anything."""
        session = tls.session
        if session is None or not session.has_ticket:
            return
        if server not in self._sessions and len(self._sessions) >= MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[server] = session

    def forget_session(self, server: str) -> None:
        self._sessions.pop(server, None)


class ServerSide:
    """How callers of one kind are answered: a context, and who we are in it.

    ``until``: when something in the secret ends, in seconds since the epoch. Whoever comes later is
    looked at anew, and no session of before is resumed.
    """

    def __init__(self, context: ssl.SSLContext, own: str, until: float) -> None:
        self._context = context
        self.own = own
        self.until = until

    @property
    def full(self) -> bool:
        """OpenSSL keeps TLS 1.2's sessions by their ids, tickets or not, and Python can't have it
        stop at fewer than 20,480."""
        return self._context.session_stats()["number"] >= MOST_SESSIONS

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """The server's end of a new connection."""
        return self._context.wrap_bio(incoming, outgoing, server_side=True)


class _Key(NamedTuple):
    """What makes a context another one; names to compare and to ask for are no part of it."""

    mode: TlsMode
    ref: SecretRef
    alpn: tuple[str, ...]
    verify: bool
    by_name: bool
    parameters: TlsParameters


class TlsStore:
    """``own`` is our SPIFFE ID in the mesh. ``wall`` gives seconds since the epoch."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self.faces = Faces(wall)
        self._wall = wall
        self._secrets: dict[SecretRef, Secret] = {}
        self._clients: dict[_Key, ClientSide] = {}
        self._servers: dict[DownstreamTls, ServerSide] = {}
        self._broken: set[DownstreamTls] = set()  # tried, and said so
        self._mesh = MESH
        self._tickets = False
        self.own = ""

    def update(self, secrets: Mapping[SecretRef, Secret | None]) -> None:
        """Use other secrets from the next connection on; None: that one is gone."""
        for ref, secret in secrets.items():
            if secret is None:
                self._secrets.pop(ref, None)
            else:
                self._secrets[ref] = secret
        self._clients = {key: side for key, side in self._clients.items() if key.ref not in secrets}
        self._broken.clear()
        for tls in [tls for tls in self._servers if tls.secret in secrets]:
            self._renew(tls)
        if WORKLOAD in secrets:
            mesh = self.server(None)
            self.own = mesh.own if mesh is not None else ""

    def configure(self, mesh: TlsParameters, tickets: bool) -> None:
        """What a new plan says of callers: the parameters of the mesh's own TLS, and whether their
        sessions are resumed."""
        self._broken.clear()
        wanted = replace(MESH, parameters=mesh)
        if (wanted, tickets) != (self._mesh, self._tickets):
            self._mesh, self._tickets = wanted, tickets
            self._servers.clear()
        else:  # those of ports that are gone go as well
            self._servers = {tls: side for tls, side in self._servers.items() if tls == wanted}

    def server(self, own: DownstreamTls | None) -> ServerSide | None:
        """How a new caller is answered: with the mesh's TLS, or with a port's ``own``. None: there
        is no certificate that can be used."""
        tls = self._mesh if own is None else own
        side = self._servers.get(tls)
        if side is None or side.until <= self._wall() or side.full:
            self._renew(tls)
            side = self._servers.get(tls)
        return side

    def _renew(self, tls: DownstreamTls) -> None:
        secret = self._secrets.get(tls.secret)
        if secret is None:
            self._servers.pop(tls, None)
            return
        if tls in self._broken:
            return
        try:
            context = server_context(secret, SERVER_ALPN, tls, self._tickets)
        except ssl.SSLError as error:
            # The supervisor has looked at it: OpenSSL alone may still see it otherwise.
            _log.error("%s can't be used: %s", _name(tls.secret), error.reason)
            self._broken.add(tls)
            return
        self._servers[tls] = ServerSide(context, secret.identity, self._until(secret))

    def _until(self, secret: Secret) -> float:
        now = self._wall()
        return min((end for end in secret.ends if end > now), default=inf)

    def client(self, tls: UpstreamTls, alpn: tuple[str, ...]) -> ClientSide:
        """The side for an upstream; `ProxyError` where its secret is missing or can't be used."""
        mesh = tls.mode is TlsMode.ISTIO_MUTUAL
        by_name = not mesh and not tls.names
        key = _Key(
            tls.mode, WORKLOAD if mesh else tls.secret, alpn, tls.verify, by_name, tls.parameters
        )
        side = self._clients.get(key)
        if side is None or side.until <= self._wall():
            side = self._clients[key] = self._make(key)
        return side

    def _make(self, key: _Key) -> ClientSide:
        if key.ref == WORKLOAD and key.mode is not TlsMode.ISTIO_MUTUAL:
            secret: Secret | None = _NOTHING  # the mesh's own is for the mesh
        else:
            secret = self._secrets.get(key.ref)
        if secret is None:
            raise _unusable(f"TLS needs {_name(key.ref)}, which is not there or can't be used")
        if key.mode is not TlsMode.SIMPLE and not secret.certificate:
            raise _unusable(f"TLS mode {key.mode.value} needs a certificate of our own")
        try:
            context = client_context(secret, key.alpn, key.verify, key.by_name, key.parameters)
        except ssl.SSLError as error:
            raise _unusable(f"{_name(key.ref)} can't be used: {error.reason}") from None
        return ClientSide(context, secret, self._until(secret))


def _name(ref: SecretRef) -> str:
    if ref == WORKLOAD:
        return "the workload's certificate (--certs)"
    if ref.credential:
        return f"the Secret {ref.credential}"
    return f"the files {', '.join(path for path in ref[:4] if path)}"


def _unusable(reason: str) -> ProxyError:
    return ProxyError(Kind.CONNECT_FAILURE, reason, Side.US)
