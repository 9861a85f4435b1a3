"""Whether a certificate says who somebody is in the mesh: the leaf rules of the X.509-SVID standard
(section 4 and appendix A), for a chain that has been verified already.

An extension's mark "critical" is not asked for: it tells verifiers what they must understand, and
these are understood here. Of extended key usages, if there are any, the one for the peer's side
must be there.
"""

from __future__ import annotations

from collections.abc import Collection

from meshproxy.identity.errors import IdentityError
from meshproxy.identity.spiffe import SpiffeId, parse
from meshproxy.identity.x509 import CLIENT_AUTH, SERVER_AUTH, Certificate

_SIGNING = frozenset({"key_cert_sign", "crl_sign"})


def check_svid(certificate: Certificate, server: bool) -> SpiffeId:
    """Who it was issued to. ``server``: it was shown by a server. `IdentityError` with a sentence
    if it identifies nobody. Validity times are not looked at."""
    identity = _identity(certificate)
    if certificate.is_ca:
        raise IdentityError(f"the certificate of {identity} is one of an authority (cA)")
    if not identity.path:
        raise IdentityError(f"{identity} has no path: it names an authority, not a workload")
    usage = certificate.key_usage
    if usage is None:
        raise IdentityError(f"the certificate of {identity} does not say what its key is for")
    if "digital_signature" not in usage:
        raise IdentityError(
            f"the key usage of the certificate of {identity} has no digitalSignature"
        )
    if usage & _SIGNING:
        raise IdentityError(
            f"the key usage of the certificate of {identity} is that of an authority"
            " (keyCertSign or cRLSign)"
        )
    extended = certificate.extended_key_usage
    wanted, name = (SERVER_AUTH, "serverAuth") if server else (CLIENT_AUTH, "clientAuth")
    if extended is not None and wanted not in extended:
        raise IdentityError(
            f"the extended key usage of the certificate of {identity} has no {name}"
        )
    return identity


def trusted(identity: SpiffeId, trust_domain: str, aliases: Collection[str] = ()) -> bool:
    """Whether the identity is of this mesh, by its trust domain or one of that one's aliases."""
    return identity.trust_domain == trust_domain or identity.trust_domain in aliases


def _identity(certificate: Certificate) -> SpiffeId:
    uris = certificate.uris
    if not uris:
        raise IdentityError("the certificate has no URI name, so no SPIFFE ID")
    if len(uris) > 1:
        raise IdentityError(f"the certificate has {len(uris)} URI names; a SPIFFE ID stands alone")
    return parse(uris[0])
