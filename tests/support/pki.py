"""A small public-key infrastructure: good certificates, and every bad one by name.

    authority = Authority("cluster.local")
    authority.issue("default/front").write(folder)    # in Istio's file names
    BAD["expired"](authority, "default/front").write(other)

It has nothing in common with the program's own authority, which it is there to check.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TRUST_DOMAIN = "cluster.local"
HOUR = 3600.0
DAY = 24 * HOUR
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH

# Istio's file names in a folder of certificates.
CERTIFICATE, KEY, ROOTS, CRL = "cert-chain.pem", "key.pem", "root-cert.pem", "ca-crl.pem"

_USUAL = ("digital_signature", "key_encipherment")
_SIGNS = ("key_cert_sign", "crl_sign")
_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Leaf:
    """A workload's certificate: PEM texts. ``certificate`` is the chain, leaf first, no root."""

    certificate: bytes
    key: bytes
    roots: bytes
    crl: bytes = b""

    @property
    def x509(self) -> x509.Certificate:
        """The leaf itself."""
        return x509.load_pem_x509_certificates(self.certificate)[0]

    def write(self, folder: Path) -> Path:
        """Put the files there, each in one step. The folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        texts = {CERTIFICATE: self.certificate, KEY: self.key, ROOTS: self.roots, CRL: self.crl}
        for name, text in texts.items():
            if text:
                fresh = folder / f".{name}.next"
                fresh.write_bytes(text)
                os.replace(fresh, folder / name)
        return folder


class _Issuer:
    """A certificate that signs others."""

    def __init__(self, name: str, above: _Issuer | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.revoked: list[int] = []
        signer = above or self
        builder = _builder(self.name, signer.name, self.key, -DAY, 3650 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        builder = builder.add_extension(_usage(_SIGNS), True)
        builder = builder.add_extension(signer.key_id, False)
        self.certificate = builder.sign(signer.key, hashes.SHA256())
        self.pem = _pem(self.certificate)

    @property
    def key_id(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    def crl(self, life: float = DAY) -> bytes:
        """What this one has revoked, as of an hour ago; it holds for as many seconds from now."""
        now = _from_now(-HOUR)
        builder = x509.CertificateRevocationListBuilder(self.name, now, _from_now(life))
        for serial in self.revoked:
            entry = x509.RevokedCertificateBuilder(serial, now).build()
            builder = builder.add_revoked_certificate(entry)
        builder = builder.add_extension(x509.CRLNumber(len(self.revoked) + 1), False)
        builder = builder.add_extension(self.key_id, False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Authority:
    """A root of P-256, and an ``intermediate`` below it if asked for."""

    def __init__(self, trust_domain: str = TRUST_DOMAIN, *, intermediate: bool = False) -> None:
        self.trust_domain = trust_domain
        self._root = _Issuer(f"root of {trust_domain}")
        self._issuer = (
            _Issuer(f"intermediate of {trust_domain}", self._root) if intermediate else self._root
        )

    @property
    def roots(self) -> bytes:
        return self._root.pem

    @property
    def crl(self) -> bytes:
        """One revocation list for each certificate that signs."""
        return self.crl_for(DAY)

    def crl_for(self, life: float) -> bytes:
        """The same, holding for as many seconds from now."""
        issuers = dict.fromkeys((self._issuer, self._root))
        return b"".join(issuer.crl(life) for issuer in issuers)

    def spiffe(self, account: str) -> str:
        """The SPIFFE ID of ``NAMESPACE/SERVICE_ACCOUNT``."""
        namespace, _, name = account.partition("/")
        return f"spiffe://{self.trust_domain}/ns/{namespace}/sa/{name}"

    def issue(
        self,
        identity: str,
        *,
        not_before: float = -HOUR,
        not_after: float = DAY,
        dns: Iterable[str] = (),
        ips: Iterable[str] = (),
        uris: Iterable[str] | None = None,
        key_usage: Iterable[str] = _USUAL,
        eku: Iterable[x509.ObjectIdentifier] = (SERVER, CLIENT),
        ca: bool = False,
        self_signed: bool = False,
        rsa: bool = False,
    ) -> Leaf:
        """A certificate for a SPIFFE ID, or for ``NAMESPACE/SERVICE_ACCOUNT`` of this trust domain.

        Times are seconds from now. ``uris`` stand instead of the identity; ``key_usage`` are
        the names of `cryptography`'s `KeyUsage`; no ``eku``: the extension is left out.
        """
        key = _rsa_key() if rsa else ec.generate_private_key(ec.SECP256R1())
        if uris is None:
            uris = [identity if "://" in identity else self.spiffe(identity)] if identity else []
        names: list[x509.GeneralName] = [
            *(x509.UniformResourceIdentifier(uri) for uri in uris),
            *(x509.DNSName(name) for name in dns),
            *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips),
        ]
        # As Istio's: no subject where there is a SAN, which is then critical (RFC 5280, 4.2.1.6).
        subject = x509.Name([]) if names else _name("nobody", NameOID.COMMON_NAME)
        builder = _builder(
            subject, subject if self_signed else self._issuer.name, key, not_before, not_after
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
        builder = builder.add_extension(_usage(key_usage), True)
        if purposes := list(eku):
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), True)
        if not self_signed:
            builder = builder.add_extension(self._issuer.key_id, False)
        certificate = builder.sign(key if self_signed else self._issuer.key, hashes.SHA256())
        chain = _pem(certificate)
        if not self_signed and self._issuer is not self._root:
            chain += self._issuer.pem
        return Leaf(chain, _key_pem(key), self.roots)

    def revoke(self, leaf: Leaf) -> bytes:
        """Put a leaf on the revocation list. The list, for those who check."""
        self._issuer.revoked.append(leaf.x509.serial_number)
        return self.crl


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _Key, not_before: float, not_after: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_from_now(not_before))
        .not_valid_after(_from_now(not_after))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _name(text: str, kind: x509.ObjectIdentifier = NameOID.ORGANIZATION_NAME) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, text)])


def _usage(names: Iterable[str]) -> x509.KeyUsage:
    wanted = set(names)
    assert wanted <= set(_USAGES), wanted
    return x509.KeyUsage(**{name: name in wanted for name in _USAGES})


def _from_now(seconds: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _key_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


# What must be refused. Each makes a leaf that claims an identity of an authority's trust domain,
# with one thing wrong. Its ``roots`` stay those of the authority: its holder trusts the mesh.

Spoil = Callable[[Authority, str], Leaf]


def _other_authority(authority: Authority, identity: str) -> Leaf:
    other = Authority(authority.trust_domain).issue(identity)
    return replace(other, roots=authority.roots)


def _revoked(authority: Authority, identity: str) -> Leaf:
    leaf = authority.issue(identity)
    authority.revoke(leaf)
    return leaf


def _two(authority: Authority, identity: str) -> Leaf:
    return authority.issue("", uris=[authority.spiffe(identity), authority.spiffe("other/one")])


def _stranger(authority: Authority, identity: str) -> Leaf:
    path = authority.spiffe(identity).removeprefix(f"spiffe://{authority.trust_domain}")
    return authority.issue(f"spiffe://other.example{path}")


# Bad for both roles.
BAD: Mapping[str, Spoil] = {
    "wrong trust domain": _stranger,
    "no SAN": lambda authority, identity: authority.issue(""),
    "no URI SAN": lambda authority, identity: authority.issue("", dns=["front.example"]),
    "no SPIFFE ID": lambda authority, identity: authority.issue("https://front.example/"),
    "two URI SANs": _two,
    "expired": lambda authority, identity: authority.issue(
        identity, not_before=-2 * HOUR, not_after=-HOUR
    ),
    "not yet valid": lambda authority, identity: authority.issue(identity, not_before=HOUR),
    "self-signed": lambda authority, identity: authority.issue(identity, self_signed=True),
    "other authority": _other_authority,
    # RSA, because Envoy's library does not even load an EC certificate that may not sign.
    "wrong key usage": lambda authority, identity: authority.issue(
        identity, key_usage=["key_cert_sign"], rsa=True
    ),
    "may sign certificates": lambda authority, identity: authority.issue(
        identity, key_usage=["digital_signature", "key_cert_sign"]
    ),
    "is an authority": lambda authority, identity: authority.issue(identity, ca=True),
    "revoked": _revoked,
}
# Bad for one role, and right for the other.
BAD_CLIENT: Mapping[str, Spoil] = {
    "for servers only": lambda authority, identity: authority.issue(identity, eku=[SERVER])
}
BAD_SERVER: Mapping[str, Spoil] = {
    "for clients only": lambda authority, identity: authority.issue(identity, eku=[CLIENT])
}
