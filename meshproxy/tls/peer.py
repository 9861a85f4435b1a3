"""Who is on the other end: what OpenSSL has verified, read and held against what may be there.

OpenSSL checks the chain, the times, revocation and the purpose; the rest of the X.509-SVID
standard, the trust domain and secure naming are checked here, after the handshake and before any
byte is passed on.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from meshproxy.identity.errors import IdentityError
from meshproxy.identity.pem import CERTIFICATE, pem_text
from meshproxy.identity.svid import check_svid
from meshproxy.identity.x509 import Certificate, read_certificate
from meshproxy.model.client_cert import USUAL, CertDetails
from meshproxy.model.tls import ServerMode, TlsMode, UpstreamTls
from meshproxy.record import Secured
from meshproxy.tls.errors import TlsFailure
from meshproxy.wire.forwarded_cert import element

_MOST_REMEMBERED = 512
_DER = 2  # of OpenSSL's encodings, which have no name in Python 3.11


class _Face(NamedTuple):
    """A certificate that was read, and its SHA-256."""

    certificate: Certificate
    digest: str


class _Shown:
    """A caller's certificate as long as its connection lasts, for details that are seldom told."""

    __slots__ = ("_details", "_face", "_made", "_own", "_tls")

    def __init__(self, tls: ssl.SSLObject, face: _Face, own: str) -> None:
        self._tls = tls
        self._face = face
        self._own = own
        self._details: CertDetails | None = None
        self._made = b""

    def element(self, details: CertDetails) -> bytes:
        """For the field ``X-Forwarded-Client-Cert``."""
        if details != self._details:
            chain = [_pem(each) for each in _chain(self._tls)]
            self._made = _element(self._own, self._face, details, chain)
            self._details = details
        return self._made


class Faces:
    """Certificates that were shown lately: most connections are from somebody who is known.

    ``wall`` gives seconds since the epoch: a resumed session's times are not looked at by OpenSSL.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._known: dict[bytes, _Face] = {}

    def caller(
        self, tls: ssl.SSLObject, own: str, server_name: str, domains: Collection[str]
    ) -> Secured:
        """Who calls us, from one of the trust ``domains``. Raises `TlsFailure`."""
        face = self._face(tls)
        identity = _identity(face.certificate, server=False)
        if identity.partition("://")[2].partition("/")[0] not in domains:
            raise TlsFailure("wrong_trust_domain", f"{identity} is of another trust domain")
        self._check_times(face.certificate)
        return _told(tls, identity, own, server_name, face)

    def client(self, tls: ssl.SSLObject, mode: ServerMode, own: str, server_name: str) -> Secured:
        """Who calls a port with TLS of its own, from wherever. Raises `TlsFailure`.

        OpenSSL has verified the certificate, where there must be one or was one. It is an identity
        if it would be one in the mesh; whose it may be, the port's roots say.
        """
        if mode is ServerMode.SIMPLE or tls.getpeercert(binary_form=True) is None:
            return _nobody(tls, own, server_name)
        face = self._face(tls)
        self._check_times(face.certificate)
        try:
            identity = str(check_svid(face.certificate, server=False))
        except IdentityError:
            identity = ""
        return _told(tls, identity, own, server_name, face)

    def server(
        self, tls: ssl.SSLObject, wanted: UpstreamTls, own: str, server_name: str
    ) -> Secured:
        """Who answers us, one of those that may. Raises `TlsFailure`."""
        if not wanted.verify:
            return _nobody(tls, own, server_name)
        face = self._face(tls)
        identity = ""
        if wanted.mode is TlsMode.ISTIO_MUTUAL:
            identity = _identity(face.certificate, server=True)
            if identity not in wanted.names:
                raise TlsFailure("wrong_identity", _unwanted(identity, wanted.names))
        elif wanted.names and not _has_name(face.certificate, wanted.names):
            shown = ", ".join(_all_names(face.certificate)[:3]) or "no name"
            raise TlsFailure("wrong_name", _unwanted(shown, wanted.names))
        self._check_times(face.certificate)
        return _secured(tls, identity, own, server_name, face)

    def _check_times(self, certificate: Certificate) -> None:
        if self._wall() > certificate.not_after:
            raise TlsFailure("expired", "its certificate has expired")

    def _face(self, tls: ssl.SSLObject) -> _Face:
        shown = tls.getpeercert(binary_form=True)
        if shown is None:
            raise TlsFailure("no_certificate", "it showed no certificate")
        face = self._known.get(shown)
        if face is None:
            try:
                certificate = read_certificate(shown)
            except IdentityError as error:
                raise TlsFailure("bad_certificate", f"its certificate: {error}") from None
            face = _Face(certificate, _sha256(shown))
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[shown] = face
        return face


def _sha256(data: bytes) -> str:
    # Loading it makes OpenSSL look up all of its algorithms, 3 MB in a process without TLS too.
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _identity(certificate: Certificate, server: bool) -> str:
    try:
        return str(check_svid(certificate, server))
    except IdentityError as error:
        raise TlsFailure(error.word, f"its certificate: {error}") from None


def _unwanted(shown: str, wanted: Collection[str]) -> str:
    """The sentence for a server that is somebody else."""
    names = list(wanted)
    if not names:
        return f"the server is {shown}, and no identity is known that it may have"
    more = f" or {len(names) - 2} others" if len(names) > 2 else ""
    return f"the server is {shown}, not {' or '.join(names[:2])}{more}"


def _all_names(certificate: Certificate) -> tuple[str, ...]:
    return (*certificate.uris, *certificate.dns_names, *certificate.ip_addresses)


def _has_name(certificate: Certificate, wanted: Collection[str]) -> bool:
    """Any of the names is in the certificate; a DNS name there may be ``*.DOMAIN`` (RFC 6125)."""
    if not set(wanted).isdisjoint((*certificate.uris, *certificate.ip_addresses)):
        return True
    patterns = {name.lower() for name in certificate.dns_names}
    for name in wanted:
        lower = name.lower()
        if lower in patterns or "*." + lower.partition(".")[2] in patterns:
            return True
    return False


def _nobody(tls: ssl.SSLObject, own: str, server_name: str) -> Secured:
    """Of somebody who showed no certificate, or one that was not verified."""
    return Secured("", own, tls.version() or "", (tls.cipher() or ("",))[0], server_name)


def _secured(
    tls: ssl.SSLObject,
    identity: str,
    own: str,
    server_name: str,
    face: _Face,
    xfcc: bytes = b"",
    tell: Callable[[CertDetails], bytes] | None = None,
) -> Secured:
    return Secured(
        identity,
        own,
        tls.version() or "",
        (tls.cipher() or ("",))[0],
        server_name,
        face.certificate.subject,
        face.digest,
        face.certificate.dns_names,
        xfcc,
        tell,
    )


def _told(tls: ssl.SSLObject, identity: str, own: str, server_name: str, face: _Face) -> Secured:
    """Of a caller, with what the app is told of it."""
    xfcc = _element(own, face, USUAL)
    return _secured(tls, identity, own, server_name, face, xfcc, _Shown(tls, face, own).element)


def _element(own: str, face: _Face, details: CertDetails, chain: Sequence[str] = ()) -> bytes:
    shown = face.certificate
    return element(own, face.digest, shown.subject, shown.uris, shown.dns_names, details, chain)


def _chain(tls: ssl.SSLObject) -> list[bytes]:
    """What the other end has shown, its own first, as DER. A resumed session knows only that."""
    if hasattr(tls, "get_unverified_chain"):  # Python 3.13
        return list(tls.get_unverified_chain())
    shown = tls._sslobj.get_unverified_chain() or ()  # type: ignore[attr-defined]
    found = [each.public_bytes(_DER) for each in shown]
    own = tls.getpeercert(binary_form=True)
    return found or ([own] if own is not None else [])


def _pem(der: bytes) -> str:
    return pem_text(der, CERTIFICATE).decode()
