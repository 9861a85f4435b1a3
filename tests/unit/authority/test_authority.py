"""The authority's certificates as others read them, and its files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from meshproxy.authority import store
from meshproxy.authority.files import write_new, write_together
from meshproxy.authority.make import certificate_pem, key_pem, new_key
from meshproxy.cli.main import run
from meshproxy.identity.spiffe import parse
from meshproxy.identity.svid import check_svid
from meshproxy.identity.x509 import read_certificate

CART = "spiffe://mesh.example/ns/shop/sa/cart"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where commands write by default; a umask that would close everything changes nothing."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o077)
    yield tmp_path
    os.umask(before)


def ca(*arguments: str) -> int:
    return run(["ca", *arguments], "meshproxy")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def openssl_verifies(folder: Path) -> bool:
    command = ["openssl", "verify", "-x509_strict", "-CAfile", folder / "root-cert.pem"]
    chain = folder / "cert-chain.pem"
    done = subprocess.run(
        [*command, "-untrusted", chain, "-purpose", "sslserver", chain],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.peer
@pytest.mark.parametrize("key_type", ["ec", "rsa"])
@pytest.mark.parametrize("intermediate", [True, False])
def test_what_is_issued_is_what_istio_issues(
    place: Path, key_type: str, intermediate: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--intermediate"] if intermediate else []
    kind = ["--key-type", key_type]
    assert ca("init", "ca", "--trust-domain", "mesh.example", *kind, *more) == 0
    assert ca("issue", "--identity", CART, "--dns", "cart.shop.svc", *kind) == 0
    out = capsys.readouterr().out
    assert "an authority of mesh.example in ca, valid until 20" in out
    assert f"{CART} in certs, valid until 20" in out
    assert openssl_verifies(place / "certs")

    pem = (place / "certs/cert-chain.pem").read_bytes()
    leaf, *between = x509.load_pem_x509_certificates(pem)
    assert len(between) == intermediate
    found = read_certificate(leaf.public_bytes(Encoding.DER))
    assert check_svid(found, server=True) == check_svid(found, server=False) == parse(CART)
    assert (found.subject, found.dns_names) == ("", ("cart.shop.svc",))
    expected = {"digital_signature"} | ({"key_encipherment"} if key_type == "rsa" else set())
    assert found.key_usage == expected
    critical = {each.oid: each.critical for each in leaf.extensions}
    assert critical[x509.SubjectAlternativeName.oid]
    assert critical[x509.KeyUsage.oid]
    assert found.not_after - found.not_before == 24 * 3600 + 120

    root = x509.load_pem_x509_certificate((place / "certs/root-cert.pem").read_bytes())
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, True)
    assert constraints.value.path_length == 1
    usage = root.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.crl_sign) == (True, True, True)
    assert not usage.value.digital_signature

    key = load_pem_private_key((place / "certs/key.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey if key_type == "rsa" else ec.EllipticCurvePrivateKey)
    keys = [place / "certs/key.pem", *place.glob("ca/*-key.pem")]
    assert [mode(path) for path in keys] == [0o600] * (3 if intermediate else 2)
    assert mode(place / "certs/cert-chain.pem") == 0o644


def test_an_authority_is_not_replaced(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ca("init", "ca") == 0
    before = {path: path.read_bytes() for path in place.glob("ca/*")}
    assert ca("init", "ca") == 2
    assert "is there already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in place.glob("ca/*")} == before


def test_an_authority_signs_for_its_own_trust_domain(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ca("init", "ca") == 0
    assert ca("issue", "--identity", CART) == 2
    assert "not of the authority's trust domain, cluster.local" in capsys.readouterr().err
    assert not (place / "certs").exists()


def test_nothing_outlives_who_has_signed_it(place: Path) -> None:
    signer = store.init(place / "ca", "mesh.example", "ec", 10 * DAY, True, NOW)
    end = signer.certificate.not_valid_after_utc
    assert end - NOW < 6 * DAY
    out = place / "certs"
    leaf = store.issue(place / "ca", out, parse(CART), (), "ec", 90 * DAY, NOW)
    assert leaf.not_valid_after_utc == end
    with pytest.raises(store.AuthorityError, match="has expired"):
        store.issue(place / "ca", out, parse(CART), (), "ec", DAY, NOW + 20 * DAY)


@pytest.mark.peer
def test_an_authority_that_others_made(place: Path) -> None:
    """Its key is counted another way, and it has no SPIFFE ID: Istio's `cacerts` of one's own."""
    folder = place / "ca"
    folder.mkdir()
    key = new_key("ec")
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Others")])
    usage = [*(False for _ in range(5)), True, *(False for _ in range(3))]  # keyCertSign
    root = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, NOW, NOW + DAY)
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.KeyUsage(*usage), True)
        .add_extension(x509.SubjectKeyIdentifier(b"counted otherwise"), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca-key.pem").write_bytes(key_pem(key))
    for file in ("ca-cert.pem", "root-cert.pem"):
        (folder / file).write_bytes(certificate_pem(root))
    assert ca("issue", "--identity", CART) == 0
    assert openssl_verifies(place / "certs")


@pytest.mark.parametrize("name", ["ca-cert.pem", "ca-key.pem", "root-cert.pem"])
def test_a_broken_authority_is_a_sentence(
    place: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ca("init", "ca") == 0
    (place / "ca" / name).write_bytes(b"rubbish")
    assert ca("issue", "--identity", CART.replace("mesh.example", "cluster.local")) == 2
    assert "are no authority's" in capsys.readouterr().err


def test_a_foreign_key_is_noticed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ca("init", "ca") == 0
    assert ca("init", "other") == 0
    (place / "ca/ca-key.pem").write_bytes((place / "other/ca-key.pem").read_bytes())
    assert ca("issue", "--identity", CART) == 2
    assert "is not the key of" in capsys.readouterr().err


def test_a_place_that_can_not_be_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "file").write_text("x")
    assert ca("init", "file/ca") == 1
    assert "Not a directory" in capsys.readouterr().err


# Files.


def test_files_change_together(place: Path) -> None:
    folder = place / "out"
    folder.mkdir()
    (folder / "b").write_text("stood there before")
    for round_ in (b"1", b"2", b"3"):
        write_together(folder, {"a": b"a" + round_, "b": b"b" + round_}, frozenset({"b"}))
        assert (folder / "a").read_bytes() + (
            folder / "b"
        ).read_bytes() == b"a" + round_ + b"b" + round_
        assert (mode(folder / "a"), mode(folder / "b")) == (0o644, 0o600)
        # Through one link, which is swapped, and nothing is left over.
        assert os.readlink(folder / "a") == "..data/a"
        assert len(list(folder.iterdir())) == 4


def test_what_fails_leaves_what_was_there(place: Path) -> None:
    folder = place / "out"
    write_together(folder, {"a": b"1"}, frozenset())
    before = sorted(folder.iterdir())
    with pytest.raises(OSError, match="No such file"):
        write_together(folder, {"a": b"2", "no/where": b"2"}, frozenset())
    assert sorted(folder.iterdir()) == before
    assert (folder / "a").read_bytes() == b"1"
    with pytest.raises(FileExistsError):
        write_new(folder, {"b": b"2", "a": b"2"}, frozenset())
    assert not (folder / "b").exists()


def test_nothing_else_loads_the_large_library(place: Path) -> None:
    """It costs 10 MB, and a tenth of a second. Checking a certificate does without."""
    store.init(place / "ca", "mesh.example", "ec", DAY, True, NOW)
    store.issue(place / "ca", place / "certs", parse(CART), (), "ec", DAY, NOW)
    code = (
        "import sys; from meshproxy.cli.main import cli, run;"
        "[cli.get_command(None, name) for name in cli.list_commands(None)];"
        "run(['version'], 'meshproxy');"
        "import meshproxy.app, meshproxy.runtime.secrets, meshproxy.runtime.configuration;"
        "from meshproxy.runtime.loaded import load; from meshproxy.model.secret import *;"
        "from pathlib import Path; read = lambda name: Path(sys.argv[1], name).read_bytes();"
        "parts = map(read, ('cert-chain.pem', 'key.pem', 'root-cert.pem'));"
        "assert load(Secret(*parts), SecretRef('c', 'k', 'r'), True).secret.identity;"
        "assert 'cryptography' not in sys.modules"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, place / "certs"]
    subprocess.run(command, check=True, cwd=root, capture_output=True)


def test_the_library_reads_what_is_written() -> None:
    made = store.make_authority("mesh.example", store.new_key("ec"), NOW, DAY, 0)
    assert x509.load_pem_x509_certificate(certificate_pem(made.certificate)) == made.certificate
