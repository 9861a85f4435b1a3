"""A worker's certificates as contexts that are ready for use, and sessions to resume.

A context belongs to the secret that it was made of: with a new certificate or other roots it is
made anew, and the sessions of the old one are forgotten with it.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple

from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.model.secret import WORKLOAD, Secret, SecretRef
from meshproxy.model.tls import TlsMode, UpstreamTls
from meshproxy.tls.material import client_context, server_context
from meshproxy.tls.peer import Faces

_log = logging.getLogger(__name__)

SERVER_ALPN = ("h2", "http/1.1", "http/1.0")
_NOTHING = Secret()
_MOST_SESSIONS = 1024  # of one context


class ClientSide:
    """How one kind of upstream is called: a context, and the sessions that servers gave us."""

    def __init__(self, context: ssl.SSLContext, secret: Secret) -> None:
        self.context = context
        self.secret = secret
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
        if server not in self._sessions and len(self._sessions) >= _MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[server] = session

    def forget_session(self, server: str) -> None:
        self._sessions.pop(server, None)


class _Key(NamedTuple):
    """What makes a context another one; names to compare and to ask for are no part of it."""

    mode: TlsMode
    ref: SecretRef
    alpn: tuple[str, ...]
    verify: bool
    by_name: bool


class TlsStore:
    """``server`` is what callers in the mesh are answered with; None: we have no certificate.

    ``wall`` gives seconds since the epoch.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self.faces = Faces(wall)
        self._secrets: dict[SecretRef, Secret] = {}
        self._clients: dict[_Key, ClientSide] = {}
        self.server: ssl.SSLContext | None = None
        self.own = ""  # our SPIFFE ID

    def update(self, secrets: Mapping[SecretRef, Secret | None]) -> None:
        """Use other secrets from the next connection on; None: that one is gone."""
        for ref, secret in secrets.items():
            if secret is None:
                self._secrets.pop(ref, None)
            else:
                self._secrets[ref] = secret
        self._clients = {key: side for key, side in self._clients.items() if key.ref not in secrets}
        if WORKLOAD in secrets:
            self._renew(secrets[WORKLOAD])

    def _renew(self, secret: Secret | None) -> None:
        if secret is None:
            self.server, self.own = None, ""
            return
        try:
            self.server = server_context(secret, SERVER_ALPN)
        except ssl.SSLError as error:
            # The supervisor has looked at it: OpenSSL alone may still see it otherwise.
            _log.error("the workload's certificate can't be used: %s", error.reason)
            return
        self.own = secret.identity

    def accept(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """The server's end of a new connection."""
        assert self.server is not None
        return self.server.wrap_bio(incoming, outgoing, server_side=True)

    def client(self, tls: UpstreamTls, alpn: tuple[str, ...]) -> ClientSide:
        """The side for an upstream; `ProxyError` where its secret is missing or can't be used."""
        mesh = tls.mode is TlsMode.ISTIO_MUTUAL
        by_name = not mesh and not tls.names
        key = _Key(tls.mode, WORKLOAD if mesh else tls.secret, alpn, tls.verify, by_name)
        side = self._clients.get(key)
        if side is None:
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
            context = client_context(secret, key.alpn, key.verify, key.by_name)
        except ssl.SSLError as error:
            raise _unusable(f"{_name(key.ref)} can't be used: {error.reason}") from None
        return ClientSide(context, secret)


def _name(ref: SecretRef) -> str:
    if ref == WORKLOAD:
        return "the workload's certificate (--certs)"
    if ref.credential:
        return f"the Secret {ref.credential}"
    return f"the files {', '.join(path for path in ref[:4] if path)}"


def _unusable(reason: str) -> ProxyError:
    return ProxyError(Kind.CONNECT_FAILURE, reason, Side.US)
