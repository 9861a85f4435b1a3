"""Certificates as Istio's authority makes them (its ``security/pkg/pki/util/generate_cert.go``)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshproxy.identity.spiffe import SpiffeId

EC, RSA = "ec", "rsa"
SKEW = timedelta(minutes=2)  # clocks that go slow still find a new certificate valid
_RSA_BITS = 2048

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Signer(NamedTuple):
    """Who signs: its own certificate, its key, and what leads from it to the root without that."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()


def new_key(kind: str) -> Key:
    """``kind``: `EC` is P-256, `RSA` 2048 bits, as Istio's workloads have them."""
    if kind == RSA:
        return rsa.generate_private_key(65537, _RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def make_authority(
    trust_domain: str,
    key: Key,
    now: datetime,
    life: timedelta,
    below: int,
    issuer: Signer | None = None,
) -> Signer:
    """An authority: a root, or with ``issuer`` an intermediate.

    ``below``: how many authorities may follow between it and a leaf.
    """
    name = _authority_name(trust_domain, "Root CA" if issuer is None else "Intermediate CA")
    signs = key if issuer is None else issuer.key
    end = now + life if issuer is None else _ends(now, life, issuer)
    built = (
        _builder(name, key, now, end, issuer and issuer.certificate)
        .add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(_uri(str(SpiffeId(trust_domain))), critical=False)
    )
    made = built.sign(signs, hashes.SHA256())
    chain = () if issuer is None else (made, *issuer.chain)
    return Signer(made, key, chain)


def make_leaf(
    identity: SpiffeId,
    dns_names: tuple[str, ...],
    key: Key,
    now: datetime,
    life: timedelta,
    issuer: Signer,
) -> x509.Certificate:
    """A workload's certificate: its name is in the alternative names alone, which are critical."""
    usage = {"key_encipherment": True} if isinstance(key, rsa.RSAPrivateKey) else {}
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    end = _ends(now, life, issuer)
    built = (
        _builder(x509.Name([]), key, now, end, issuer.certificate)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(_uri(str(identity), dns_names), critical=True)
    )
    return built.sign(issuer.key, hashes.SHA256())


def _builder(
    subject: x509.Name, key: Key, now: datetime, end: datetime, issuer: x509.Certificate | None
) -> x509.CertificateBuilder:
    """What all have in common; without an issuer it is signed by its own key."""
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_issuers_key(key if issuer is None else issuer), critical=False)
    )


def _issuers_key(issuer: Key | x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """As the issuer's certificate calls its key: it may count it another way than we do."""
    made = x509.AuthorityKeyIdentifier
    if isinstance(issuer, x509.Certificate):
        try:
            own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
            return made.from_issuer_subject_key_identifier(own.value)
        except x509.ExtensionNotFound:
            pass
    # Both are of the kinds that `Key` names: an authority's key was looked at when it was loaded.
    return made.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]


def _ends(now: datetime, life: timedelta, issuer: Signer) -> datetime:
    """Nothing outlives who has signed it."""
    return min(now + life, issuer.certificate.not_valid_after_utc)


def _authority_name(trust_domain: str, role: str) -> x509.Name:
    # An organisation has at most 64 characters (RFC 5280 appendix A.1).
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, role),
        ]
    )


def _uri(uri: str, dns_names: tuple[str, ...] = ()) -> x509.SubjectAlternativeName:
    names = [x509.UniformResourceIdentifier(uri), *map(x509.DNSName, dns_names)]
    return x509.SubjectAlternativeName(names)


def _key_usage(**given: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})
