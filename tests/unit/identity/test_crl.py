"""What a revocation list says of itself, read beside another reader."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.identity import IdentityError
from meshproxy.identity.crl import RevocationList, read_list
from meshproxy.identity.pem import CRL, blocks
from tests.support.pki import Authority

KEY = ec.generate_private_key(ec.SECP256R1())


def made(last: datetime, following: datetime, serials: int = 0) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "a, b")])
    builder = x509.CertificateRevocationListBuilder(name, last, following)
    for serial in range(1, serials + 1):
        entry = x509.RevokedCertificateBuilder(serial, last).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("serials", [0, 1, 10_000])
@pytest.mark.parametrize(
    ("last", "following"),
    [
        (datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, 4, 5, 6, tzinfo=UTC)),
        (datetime(2049, 12, 31, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_and_issuer(last: datetime, following: datetime, serials: int) -> None:
    found = read_list(made(last, following, serials))
    assert found == RevocationList("O=a\\, b", last.timestamp(), following.timestamp())


def test_as_another_reader_has_it() -> None:
    for der in blocks(Authority(intermediate=True).crl, CRL):
        found, other = read_list(der), x509.load_der_x509_crl(der)
        assert other.next_update_utc is not None
        assert found.issuer == other.issuer.rfc4514_string()
        assert found.this_update == other.last_update_utc.timestamp()
        assert found.next_update == other.next_update_utc.timestamp()


def test_one_that_never_ends() -> None:
    """``nextUpdate`` may be missing; then a list of entries, or nothing, follows at once."""
    whole = made(datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))
    time = b"\x17\r240103000000Z"
    assert time in whole
    body = whole.replace(time, b"")
    outer, inner = body.index(b"\x30"), body.index(b"\x30", 1)
    short = bytearray(body)
    for at in (outer, inner):
        assert short[at + 1] in (0x81, *range(0x80)), "lengths of one byte"
        short[at + 1 + (short[at + 1] == 0x81)] -= len(time)
    assert read_list(bytes(short)).next_update == inf


LIST = made(datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC), 2)


@given(st.integers(0, len(LIST) - 1), st.integers(0, 255), st.booleans())
def test_nothing_raises_past_the_border(at: int, byte: int, cut: bool) -> None:
    data = LIST[:at] if cut else LIST[:at] + bytes([byte]) + LIST[at + 1 :]
    try:
        read_list(data)
    except IdentityError:
        pass
