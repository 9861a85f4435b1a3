"""Whether certificate, key, roots and revocation lists belong together.

Only the supervisor asks, before workers are given anything. Messages never hold what was read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshproxy.identity import IdentityError
from meshproxy.identity.crl import RevocationList, read_list
from meshproxy.identity.pem import CERTIFICATE, CRL, blocks, pem_text
from meshproxy.identity.svid import check_svid
from meshproxy.identity.x509 import Certificate, read_certificate
from meshproxy.model.secret import Secret, SecretRef
from meshproxy.tls.check import (
    LOCKED,
    MISMATCH,
    NO_KEY,
    Unusable,
    check_chain,
    check_pair,
    check_roots,
)


class SecretError(Exception):
    """Material that can't be used, as a sentence."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A secret, and what its certificates say: the leaf first, and all roots.

    ``path`` are those of them that lead from the leaf to a root; all of these must be valid for the
    certificate to be. ``lists`` are those of revoked certificates. ``places`` says where each part
    came from.
    """

    secret: Secret
    places: SecretRef
    chain: tuple[Certificate, ...] = ()
    roots: tuple[Certificate, ...] = ()
    path: tuple[Certificate, ...] = ()
    lists: tuple[RevocationList, ...] = ()

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
    read = tuple(_read(der, places.certificate) for der in chain)
    trusted = {der: _read(der, places.roots) for der in roots}
    lists = _read_lists(given, places.crl) if given.crl else ()
    secret, path = given, []
    if chain:
        _check_pair(given, places)
        identity = _identity(read[0], places.certificate, workload)
        # Roots that are told with a client's certificate are those of the servers it calls.
        if workload:
            _check_chain(given, places)
        path = _path(given, read, trusted if workload else {})
        secret = replace(
            given,
            identity=identity,
            not_before=max(each.not_before for each in path),
            not_after=min(each.not_after for each in path),
        )
    ends = {each.not_after for each in (*read, *trusted.values())}
    ends.update(each.next_update for each in lists)
    secret = replace(secret, ends=tuple(sorted(ends)))
    return Loaded(secret, places, read, tuple(trusted.values()), tuple(path), lists)


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


def _check_pair(given: Secret, places: SecretRef) -> None:
    try:
        check_pair(given.certificate, given.key)
    except Unusable as error:
        raise SecretError(
            {
                LOCKED: f"{places.key} is encrypted: store the key without a password",
                MISMATCH: f"the key in {places.key} is not that of the certificate in"
                f" {places.certificate}",
                NO_KEY: f"{places.key} holds no private key that can be read",
            }.get(error.reason)
            or f"{places.certificate} with {places.key} can't be used: {error.reason}"
        ) from None


def _check_chain(given: Secret, places: SecretRef) -> None:
    try:
        check_chain(given.certificate, given.key, given.roots)
    except Unusable as error:
        raise SecretError(
            f"the certificate in {places.certificate} does not lead to a root in {places.roots}:"
            f" {error.reason}"
        ) from None


def _path(
    given: Secret, chain: tuple[Certificate, ...], roots: dict[bytes, Certificate]
) -> list[Certificate]:
    """From the leaf as far as the chain goes, and to its root, by names: signatures are known to be
    right. Of several roots of one name, as while roots are exchanged, one has signed."""
    path = [chain[0]]
    while path[-1] not in roots.values():
        name = path[-1].issuer
        named = [der for der, root in roots.items() if root.subject == name]
        if named:
            path.append(roots[named[0] if len(named) == 1 else _signer(given, named)])
            break
        issuer = next((each for each in chain if each.subject == name and each not in path), None)
        if issuer is None:
            break
        path.append(issuer)
    return path


def _signer(given: Secret, roots: list[bytes]) -> bytes:
    for der in roots:
        try:
            check_chain(given.certificate, given.key, pem_text(der, CERTIFICATE))
        except Unusable:
            continue
        return der
    return roots[0]


def _read_lists(given: Secret, place: str) -> tuple[RevocationList, ...]:
    try:
        found = tuple(read_list(each) for each in blocks(given.crl, CRL))
        check_roots(given.roots, given.crl)
    except (IdentityError, Unusable):
        raise SecretError(f"{place} holds a revocation list that can't be read") from None
    if not found:
        raise SecretError(f"{place} holds no revocation list")
    return found
