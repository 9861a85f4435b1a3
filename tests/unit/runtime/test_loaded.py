"""What belongs together and what does not, with real certificates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from meshproxy.authority.make import certificate_pem, key_pem, make_leaf, new_key
from meshproxy.identity.spiffe import parse
from meshproxy.model.secret import Secret, SecretRef
from meshproxy.runtime.loaded import SecretError, load
from tests.support.certs import CART, Mesh

PLACES = SecretRef("chain.pem", "key.pem", "root.pem", "crl.pem")
MESH = Mesh()
PAIR = MESH.issue()
OTHER = Mesh()
DEEP = Mesh(intermediate=True)


def encrypted(pem: bytes) -> bytes:
    key = load_pem_private_key(pem, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


def revocations(mesh: Mesh = MESH) -> bytes:
    now = datetime.now(UTC)
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(mesh.root.certificate.subject)
        .last_update(now)
        .next_update(now + timedelta(days=1))
        .sign(mesh.root.key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def no_identity() -> tuple[bytes, bytes]:
    """A certificate of an authority's own, which identifies no workload."""
    return certificate_pem(MESH.root.certificate), key_pem(MESH.root.key)


BAD = [
    ("nothing", Secret(), "chain.pem holds no certificate"),
    ("no key", Secret(PAIR.chain, b"", PAIR.roots), "key.pem holds no key"),
    ("no roots", Secret(PAIR.chain, PAIR.key), "root.pem holds no root certificate"),
    ("half a chain", Secret(PAIR.chain[:-40], PAIR.key, PAIR.roots), "ends in the middle"),
    ("half a root", Secret(PAIR.chain, PAIR.key, PAIR.roots[:300]), "root.pem ends in the middle"),
    ("half a key", Secret(PAIR.chain, PAIR.key[:100], PAIR.roots), "no private key"),
    ("a wrong key", Secret(PAIR.chain, OTHER.issue().key, PAIR.roots), "the key in key.pem is not"),
    (
        "another kind of key",
        Secret(PAIR.chain, Mesh(kind="rsa").issue().key, PAIR.roots),
        "the key in key.pem is not",
    ),
    ("locked", Secret(PAIR.chain, encrypted(PAIR.key), PAIR.roots), "key.pem is encrypted"),
    ("wrong roots", Secret(PAIR.chain, PAIR.key, OTHER.roots), "does not lead to a root"),
    ("an authority", Secret(*no_identity(), PAIR.roots), "can't identify a workload"),
    (
        "rubbish",
        Secret(
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", PAIR.key, PAIR.roots
        ),
        "chain.pem can't be understood",
    ),
    ("no list", Secret(PAIR.chain, PAIR.key, PAIR.roots, b"x"), "crl.pem holds no revocation list"),
    (
        "a broken list",
        Secret(PAIR.chain, PAIR.key, PAIR.roots, revocations()[:80]),
        "crl.pem holds a revocation list that can't be read",
    ),
]


@pytest.mark.parametrize(("given", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_does_not_fit_is_refused_with_a_sentence(given: Secret, said: str) -> None:
    with pytest.raises(SecretError, match=re.escape(said)) as caught:
        load(given, PLACES, workload=True)
    # Nothing of what was read is told: no error is chained, and none holds the key.
    assert caught.value.__cause__ is None
    assert not given.key or given.key.split(b"\n")[1].decode() not in str(caught.value)


@pytest.mark.parametrize("mesh", [MESH, DEEP, Mesh(kind="rsa")], ids=["one", "deep", "rsa"])
def test_what_fits_is_taken(mesh: Mesh) -> None:
    pair = mesh.issue(dns=("cart.shop",))
    found = load(Secret(*pair), PLACES, workload=True)
    leaf = x509.load_pem_x509_certificates(pair.chain)[0]
    assert found.secret.identity == CART
    assert found.chain[0].serial == leaf.serial_number
    assert found.secret.not_after == leaf.not_valid_after_utc.timestamp()
    assert found.secret.not_before == leaf.not_valid_before_utc.timestamp()
    assert (found.secret.certificate, found.secret.key) == (pair.chain, pair.key)
    assert [each.is_ca for each in found.path] == [False, *[True] * (len(found.path) - 1)]
    assert found.path[-1] == found.roots[0]
    assert PAIR.key.decode()[40:80] not in repr(found)


def test_an_old_and_a_new_root_together() -> None:
    found = load(Secret(PAIR.chain, PAIR.key, OTHER.roots + PAIR.roots), PLACES, workload=True)
    assert len(found.roots) == 2
    assert found.path[-1] == found.roots[1]


def test_of_roots_of_one_name_the_one_that_has_signed_counts() -> None:
    """Each authority here has the same name, as when a root is made anew."""
    short = Mesh(root_life=timedelta(days=3000))
    pair = short.issue()
    end = short.root.certificate.not_valid_after_utc.timestamp()
    for roots in (MESH.roots + short.roots, short.roots + MESH.roots):
        found = load(Secret(pair.chain, pair.key, roots), PLACES, workload=True)
        assert found.path[-1].not_after == end
    with pytest.raises(SecretError, match="does not lead to a root"):
        load(Secret(pair.chain, pair.key, MESH.roots), PLACES, workload=True)


def test_a_missing_intermediate_is_missed() -> None:
    pair = DEEP.issue()
    end = b"-----END CERTIFICATE-----\n"
    leaf_alone = pair.chain.partition(end)[0] + end
    with pytest.raises(SecretError, match="does not lead to a root"):
        load(Secret(leaf_alone, pair.key, pair.roots), PLACES, workload=True)


def test_the_first_to_expire_on_the_way_to_the_root_counts() -> None:
    """A leaf that outlives its authority, which `make_leaf` itself makes none of."""
    key = new_key("ec")
    now = datetime.now(UTC)
    short = Mesh(intermediate=True)
    end = now + timedelta(hours=1)
    signer = short.signer
    built = (
        x509.CertificateBuilder()
        .subject_name(signer.certificate.subject)
        .issuer_name(short.root.certificate.subject)
        .public_key(signer.key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(True, 0), True)
    )
    authority = built.sign(short.root.key, hashes.SHA256())
    leaf = make_leaf(parse(CART), (), key, now, timedelta(days=2), signer)
    given = Secret(certificate_pem(leaf, authority), key_pem(key), short.roots)
    found = load(given, PLACES, workload=True)
    assert found.secret.not_after == float(int(end.timestamp()))
    assert found.valid(now.timestamp() + 60)
    assert not found.valid(now.timestamp() + 3601)


def test_a_clients_certificate_need_be_no_identity_nor_of_its_servers_roots() -> None:
    places = SecretRef("chain.pem", "key.pem", "root.pem")
    found = load(Secret(*no_identity(), OTHER.roots), places, workload=False)
    assert found.secret.identity == ""
    assert found.secret.not_after == MESH.root.certificate.not_valid_after_utc.timestamp()


def test_roots_alone() -> None:
    found = load(Secret(roots=OTHER.roots), SecretRef(roots="root.pem"), workload=False)
    assert (found.secret.certificate, len(found.roots)) == (b"", 1)
    assert found.valid(0.0)
    with pytest.raises(SecretError, match=r"root\.pem holds no root certificate"):
        load(Secret(roots=b"x"), SecretRef(roots="root.pem"), workload=False)


def test_a_certificate_without_its_key() -> None:
    with pytest.raises(SecretError, match="without its other half"):
        load(Secret(certificate=PAIR.chain), SecretRef("chain.pem"), workload=False)


def test_lists_are_taken() -> None:
    found = load(Secret(*PAIR, revocations() + revocations(OTHER)), PLACES, workload=True)
    assert found.secret.crl.count(b"BEGIN X509 CRL") == 2
