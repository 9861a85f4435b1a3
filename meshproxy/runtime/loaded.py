"""Whether certificate, key, roots and revocation lists belong together.

Only here are keys looked at, and only the supervisor does it: `cryptography` costs 9 MB, and is
imported when there is a key or a list to look at. Messages never hold what was read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshproxy.identity import IdentityError
from meshproxy.identity.pem import CERTIFICATE, CRL, blocks
from meshproxy.identity.svid import check_svid
from meshproxy.identity.x509 import Certificate, read_certificate
from meshproxy.model.secret import Secret, SecretRef

if TYPE_CHECKING:
    from cryptography import x509

_LONGEST_CHAIN = 10


class SecretError(Exception):
    """Material that can't be used, as a sentence."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A secret, and what its certificates say: the leaf first, and all roots.

    ``path`` are those of them that lead from the leaf to a root; all of these must be valid for the
    certificate to be. ``places`` says where each part came from.
    """

    secret: Secret
    places: SecretRef
    chain: tuple[Certificate, ...] = ()
    roots: tuple[Certificate, ...] = ()
    path: tuple[Certificate, ...] = ()

    def valid(self, now: float) -> bool:
        """Whether its own certificate, if there is one, is valid at this time."""
        return not self.secret.certificate or (
            self.secret.not_before <= now < self.secret.not_after
        )


def load(given: Secret, places: SecretRef, workload: bool) -> Loaded:
    """Put the parts together; `SecretError` where they don't fit. Times are not compared with now.

    ``workload``: it must be complete, and identify us in the mesh.
    """
    chain = _certificates(given.certificate, places.certificate)
    roots = _certificates(given.roots, places.roots)
    for what, there in (("certificate", chain), ("key", given.key), ("roots", roots)):
        if getattr(places, what) and not there:
            raise SecretError(f"{getattr(places, what)} holds no {_WORDS[what]}")
    if bool(chain) != bool(given.key):
        raise SecretError(f"{places.certificate or places.key} is of no use without its other half")
    if given.crl:
        _check_lists(given.crl, places.crl)
    read = {der: _read(der, places.certificate) for der in chain}
    read |= {der: _read(der, places.roots) for der in roots}
    secret, path = given, []
    if chain:
        _check_key(chain[0], given.key, places)
        # Roots that are told with a client's certificate are those of the servers it calls.
        path = [read[der] for der in _path(chain, roots if workload else [], places)]
        secret = replace(
            given,
            identity=_identity(read[chain[0]], places.certificate, workload),
            not_before=max(each.not_before for each in path),
            not_after=min(each.not_after for each in path),
        )
    return Loaded(
        secret,
        places,
        tuple(read[der] for der in chain),
        tuple(read[der] for der in roots),
        tuple(path),
    )


_WORDS = {"certificate": "certificate", "key": "key", "roots": "root certificate"}


def _certificates(pem: bytes, place: str) -> list[bytes]:
    try:
        return blocks(pem, CERTIFICATE)
    except IdentityError as error:
        raise SecretError(f"{place} {error}") from None


def _read(der: bytes, place: str) -> Certificate:
    try:
        return read_certificate(der)
    except IdentityError as error:
        raise SecretError(f"{place} can't be understood: {error}") from None


def _identity(leaf: Certificate, place: str, workload: bool) -> str:
    """The leaf's SPIFFE ID. It must have one, for both sides, if it is the workload's."""
    try:
        check_svid(leaf, server=False)
        return str(check_svid(leaf, server=True))
    except IdentityError as error:
        if workload:
            raise SecretError(f"{place} can't identify a workload: {error}") from None
        return ""


def _check_key(leaf: bytes, pem: bytes, places: SecretRef) -> None:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise SecretError(f"{places.key} is encrypted: store the key without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SecretError(f"{places.key} holds no private key that can be read") from None
    try:
        public = x509.load_der_x509_certificate(leaf).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise SecretError(f"{places.certificate} has a key of an unknown kind") from None
    if key.public_key().public_bytes(*form) != public.public_bytes(*form):
        raise SecretError(
            f"the key in {places.key} is not that of the certificate in {places.certificate}"
        )


def _path(chain: list[bytes], roots: list[bytes], places: SecretRef) -> list[bytes]:
    """From the leaf to one of the roots, by signatures. Without roots, as far as the chain goes."""
    from cryptography import x509

    try:
        parsed = {der: x509.load_der_x509_certificate(der) for der in {*chain, *roots}}
    except ValueError:
        raise SecretError(f"{places.certificate} or {places.roots} can't be understood") from None
    path = [chain[0]]
    while len(path) < _LONGEST_CHAIN:
        last = path[-1]
        if last in roots:
            return path
        issuer = next(
            (der for der in (*roots, *chain) if _issued(parsed[last], parsed[der])),
            None,
        )
        if issuer is None or issuer in path:
            break
        path.append(issuer)
    if roots:
        raise SecretError(
            f"the certificate in {places.certificate} does not lead to a root in {places.roots}"
        )
    return path


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _check_lists(pem: bytes, place: str) -> None:
    from cryptography import x509

    try:
        lists = blocks(pem, CRL)
        for der in lists:
            x509.load_der_x509_crl(der)
    except (IdentityError, ValueError):
        raise SecretError(f"{place} holds a revocation list that can't be read") from None
    if not lists:
        raise SecretError(f"{place} holds no revocation list")
