"""Our reader of certificates against `cryptography` and OpenSSL, and against hostile bytes."""

from __future__ import annotations

import random
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.identity import IdentityError
from meshproxy.identity.svid import check_svid
from meshproxy.identity.x509 import LARGEST, read_certificate

EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()  # signs: the same bytes each time
RSA = rsa.generate_private_key(65537, 2048)
KEYS = {"EC": EC, "Ed25519": ED, "RSA": RSA}
EPOCH = datetime(1950, 1, 1, tzinfo=UTC)
ATTRIBUTES = [
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.USER_ID,
    NameOID.STREET_ADDRESS,
    ObjectIdentifier("1.3.6.1.4.1.99999.1"),
]
IN_ASCII = [NameOID.EMAIL_ADDRESS, NameOID.DOMAIN_COMPONENT]
USAGES = [
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
]
EXTENDED = [
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ObjectIdentifier("2.999.4294967296.5"),
]

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
_ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
_PARTS = st.one_of(
    st.tuples(st.sampled_from(ATTRIBUTES), _TEXT),
    st.tuples(st.sampled_from(IN_ASCII), _ASCII),
    st.tuples(st.just(NameOID.SERIAL_NUMBER), st.text("0aZ '()+,-./:=?", min_size=1)),
)
_NAMES = st.lists(st.lists(_PARTS, min_size=1, max_size=2, unique=True), max_size=3)


def make_name(parts: list[list[tuple[ObjectIdentifier, str]]]) -> x509.Name:
    return x509.Name(
        x509.RelativeDistinguishedName(x509.NameAttribute(oid, text) for oid, text in part)
        for part in parts
    )


@st.composite
def certificates(draw: st.DrawFn) -> x509.Certificate:
    """Certificates with any of the fields that are read."""
    start = EPOCH + timedelta(seconds=draw(st.integers(0, 5_000_000_000)))
    built = (
        x509.CertificateBuilder()
        .subject_name(make_name(draw(_NAMES)))
        .issuer_name(make_name(draw(_NAMES)))
        .serial_number(draw(st.integers(1, 2**159 - 1)))
        .not_valid_before(start)
        .not_valid_after(start + timedelta(seconds=draw(st.integers(0, 5_000_000_000))))
        .public_key(KEYS[draw(st.sampled_from(sorted(KEYS)))].public_key())
    )
    names: list[x509.GeneralName] = [
        *map(x509.UniformResourceIdentifier, draw(st.lists(_ASCII, max_size=3))),
        *map(x509.DNSName, draw(st.lists(_ASCII, max_size=3))),
        *map(x509.IPAddress, map(ip_address, draw(st.lists(st.ip_addresses(), max_size=2)))),
    ]
    if names:
        shuffled = draw(st.permutations(names))
        built = built.add_extension(x509.SubjectAlternativeName(shuffled), draw(st.booleans()))
    if draw(st.booleans()):
        is_ca = draw(st.booleans())
        length = draw(st.none() | st.integers(0, 3)) if is_ca else None
        built = built.add_extension(x509.BasicConstraints(is_ca, length), True)
    if draw(st.booleans()):
        given_usages = {usage: draw(st.booleans()) for usage in USAGES}
        if not given_usages["key_agreement"]:
            given_usages |= {"encipher_only": False, "decipher_only": False}
        built = built.add_extension(x509.KeyUsage(**given_usages), draw(st.booleans()))
    extended = draw(st.lists(st.sampled_from(EXTENDED), max_size=3, unique=True))
    if extended:
        built = built.add_extension(x509.ExtendedKeyUsage(extended), False)
    return built.sign(ED, None)


def usages_of(found: x509.KeyUsage) -> frozenset[str]:
    names = USAGES if found.key_agreement else USAGES[:7]
    return frozenset(name for name in names if getattr(found, name))


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


@settings(max_examples=300, deadline=None)
@given(certificates())
def test_what_cryptography_reads_is_what_is_read(certificate: x509.Certificate) -> None:
    found = read_certificate(der_of(certificate))
    extensions = {ext.oid: ext.value for ext in certificate.extensions}
    names = extensions.get(x509.SubjectAlternativeName.oid, x509.SubjectAlternativeName([]))
    assert isinstance(names, x509.SubjectAlternativeName)
    assert found.uris == tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
    assert found.dns_names == tuple(names.get_values_for_type(x509.DNSName))
    assert found.ip_addresses == tuple(map(str, names.get_values_for_type(x509.IPAddress)))
    constraints = extensions.get(x509.BasicConstraints.oid)
    assert found.is_ca == (isinstance(constraints, x509.BasicConstraints) and constraints.ca)
    usage = extensions.get(x509.KeyUsage.oid)
    expected = usages_of(usage) if isinstance(usage, x509.KeyUsage) else None
    assert found.key_usage == expected
    extended = extensions.get(x509.ExtendedKeyUsage.oid)
    assert found.extended_key_usage == (
        frozenset(oid.dotted_string for oid in extended)
        if isinstance(extended, x509.ExtendedKeyUsage)
        else None
    )
    assert found.not_before == certificate.not_valid_before_utc.timestamp()
    assert found.not_after == certificate.not_valid_after_utc.timestamp()
    assert found.serial == certificate.serial_number
    assert KEYS[found.key_type].public_key() == certificate.public_key()


HARD = [
    [],
    [[(NameOID.COMMON_NAME, "cart"), (NameOID.USER_ID, "7")], [(NameOID.COUNTRY_NAME, "DE")]],
    [[(NameOID.COMMON_NAME, ' #a,b+c"d\\e<f>g;h= ')]],
    [[(NameOID.COMMON_NAME, "#")], [(NameOID.COMMON_NAME, " ")], [(NameOID.COMMON_NAME, "  ")]],
    [[(NameOID.ORGANIZATION_NAME, "Käse € 🧀 \x01\x7f\n")]],
    [[(ObjectIdentifier("1.3.6.1.4.1.99999.1"), "unknown")]],
    [[(NameOID.EMAIL_ADDRESS, "a@b.example")], [(NameOID.DOMAIN_COMPONENT, "example")]],
]


def openssl_name(der: bytes) -> str:
    done = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-noout", "-subject", "-nameopt", "RFC2253"],
        input=der,
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout.decode().removeprefix("subject=").rstrip("\n")


def certificate_of(parts: list[list[tuple[ObjectIdentifier, str]]]) -> bytes:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    built = x509.CertificateBuilder(
        make_name([]), make_name(parts), EC.public_key(), 1, now, now + timedelta(days=1)
    )
    return der_of(built.sign(ED, None))


@pytest.mark.peer
@pytest.mark.parametrize("parts", HARD)
def test_subjects_are_written_as_openssl_writes_them(
    parts: list[list[tuple[ObjectIdentifier, str]]],
) -> None:
    der = certificate_of(parts)
    assert read_certificate(der).subject == openssl_name(der)


@pytest.mark.peer
@settings(max_examples=40, deadline=None)
@given(_NAMES)
def test_any_subject_is_written_as_openssl_writes_it(
    parts: list[list[tuple[ObjectIdentifier, str]]],
) -> None:
    der = certificate_of(parts)
    assert read_certificate(der).subject == openssl_name(der)


# Whatever the bytes.


def only_its_own_error(data: bytes) -> None:
    try:
        check_svid(read_certificate(data), server=True)
    except IdentityError:
        pass


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    only_its_own_error(data)


@settings(max_examples=300, deadline=None)
@given(certificates(), st.data())
def test_damaged_certificates_raise_nothing_else(
    certificate: x509.Certificate, data: st.DataObject
) -> None:
    damaged = bytearray(der_of(certificate))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["set", "cut", "insert", "truncate"])):
            case "set":
                damaged[at] = data.draw(st.integers(0, 255))
            case "cut":
                del damaged[at : at + data.draw(st.integers(1, 9))]
            case "insert":
                damaged[at:at] = data.draw(st.binary(min_size=1, max_size=9))
            case _:
                del damaged[max(at, 1) :]
        if not damaged:
            break
    only_its_own_error(bytes(damaged))


def test_every_single_changed_byte_raises_nothing_else() -> None:
    """Each byte of a whole certificate, with the values that lengths and tags are made of."""
    parts = [[(NameOID.COMMON_NAME, "cart")], [(NameOID.ORGANIZATION_NAME, "mesh")]]
    good = certificate_of(parts)
    draw = random.Random(5)
    for at in range(len(good)):
        for value in (0, 1, 0x1F, 0x30, 0x7F, 0x80, 0x81, 0x84, 0xFF, draw.randrange(256)):
            only_its_own_error(good[:at] + bytes((value,)) + good[at + 1 :])
        only_its_own_error(good[:at])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",  # of indefinite length
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x81\x01\x00",
        b"\x30\x82\x00\x80" + bytes(128),
        b"\x1f\x00",
        b"\x30\x00" * 5,
        b"\x30" * LARGEST,
        bytes(LARGEST + 1),
    ],
)
def test_what_is_no_der_is_refused(data: bytes) -> None:
    with pytest.raises(IdentityError):
        read_certificate(data)


def test_an_extension_twice_is_refused() -> None:
    """`cryptography` makes none, so a certificate's own extension is put there once more."""
    now = datetime(2024, 1, 1, tzinfo=UTC)
    built = x509.CertificateBuilder(
        make_name([]), make_name([]), EC.public_key(), 1, now, now + timedelta(days=1)
    )
    constraints = x509.BasicConstraints(False, None)
    key_usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    twice = built.add_extension(constraints, False).add_extension(key_usage, False)
    der = der_of(twice.sign(ED, None))
    known, other = bytes.fromhex("0603551d13"), bytes.fromhex("0603551d25")
    assert der.count(known) == der.count(other) == 1
    read_certificate(der)
    with pytest.raises(IdentityError, match="twice"):
        read_certificate(der.replace(other, known))
