"""An authority on disk, under the names of Istio's ``cacerts`` Secret."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from meshproxy.authority.files import write_new, write_together
from meshproxy.authority.make import (
    Signer,
    certificate_pem,
    key_pem,
    make_authority,
    make_leaf,
    new_key,
)
from meshproxy.identity import IdentityError
from meshproxy.identity.spiffe import SpiffeId, parse

ROOT, ROOT_KEY = "root-cert.pem", "root-key.pem"
SIGNER, SIGNER_KEY, CHAIN = "ca-cert.pem", "ca-key.pem", "cert-chain.pem"
LEAF, LEAF_KEY = "cert-chain.pem", "key.pem"
_INTERMEDIATE_SHARE = 0.5  # of the root's life


class AuthorityError(Exception):
    """Why something can't be made, as a sentence."""


def init(
    folder: Path,
    trust_domain: str,
    key_type: str,
    life: timedelta,
    intermediate: bool,
    now: datetime,
) -> Signer:
    """Make an authority and store it; who signs from now on. Raises ``OSError``, among them
    ``FileExistsError`` where there is one already: what it has signed hangs on its key."""
    root = make_authority(trust_domain, new_key(key_type), now, life, 1)
    signer = root
    contents = {ROOT: certificate_pem(root.certificate)}
    if intermediate:
        key = new_key(key_type)
        signer = make_authority(trust_domain, key, now, life * _INTERMEDIATE_SHARE, 0, root)
        contents[ROOT_KEY] = key_pem(root.key)
    contents |= {
        SIGNER: certificate_pem(signer.certificate),
        SIGNER_KEY: key_pem(signer.key),
        CHAIN: certificate_pem(*signer.chain, root.certificate),
    }
    write_new(folder, contents, frozenset({ROOT_KEY, SIGNER_KEY}))
    return signer


def issue(
    authority: Path,
    out: Path,
    identity: SpiffeId,
    dns_names: tuple[str, ...],
    key_type: str,
    life: timedelta,
    now: datetime,
) -> x509.Certificate:
    """Make a workload's certificate and key and store both with the root, all in one step."""
    signer, root = _load(authority)
    _check_domain(identity, root)
    if signer.certificate.not_valid_after_utc <= now:
        raise AuthorityError(f"{authority / SIGNER} has expired")
    key = new_key(key_type)
    leaf = make_leaf(identity, dns_names, key, now, life, signer)
    contents = {
        LEAF: certificate_pem(leaf, *signer.chain),
        LEAF_KEY: key_pem(key),
        ROOT: certificate_pem(root),
    }
    write_together(out, contents, frozenset({LEAF_KEY}))
    return leaf


def _load(folder: Path) -> tuple[Signer, x509.Certificate]:
    """Who signs there, and the root."""
    try:
        roots = x509.load_pem_x509_certificates((folder / ROOT).read_bytes())
        signers = x509.load_pem_x509_certificates((folder / SIGNER).read_bytes())
        key = load_pem_private_key((folder / SIGNER_KEY).read_bytes(), None)
        chain_file = folder / CHAIN
        chain = (
            x509.load_pem_x509_certificates(chain_file.read_bytes()) if chain_file.exists() else []
        )
    except FileNotFoundError as error:
        raise AuthorityError(
            f"there is no authority in {folder}: {error.filename} is missing;"
            f" make one with `meshproxy ca init {folder}`"
        ) from None
    except (ValueError, TypeError):
        raise AuthorityError(f"the files in {folder} are no authority's") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise AuthorityError(f"{folder / SIGNER_KEY} is of a kind that is not used here")
    if key.public_key() != signers[0].public_key():
        raise AuthorityError(f"{folder / SIGNER_KEY} is not the key of {folder / SIGNER}")
    # What leads to the root, and not the root: peers have that.
    between = tuple(each for each in (signers[0], *chain) if each not in roots)
    return Signer(signers[0], key, tuple(dict.fromkeys(between))), roots[0]


def _check_domain(identity: SpiffeId, root: x509.Certificate) -> None:
    """An authority that says whose it is signs for nobody else."""
    try:
        names = root.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        own = parse(uri)
    except (x509.ExtensionNotFound, ValueError, IdentityError):
        return  # it does not say
    if own.trust_domain != identity.trust_domain:
        raise AuthorityError(
            f"{identity} is not of the authority's trust domain, {own.trust_domain}"
        )
