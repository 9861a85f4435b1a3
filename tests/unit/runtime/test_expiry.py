"""What is said of revocation lists as their time passes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from meshproxy.identity.crl import RevocationList
from meshproxy.runtime.expiry import ListWords, first_list_ends
from tests.support.certs import CRL, put
from tests.unit.runtime.test_secrets import DAY, MESH, Place

LIST = RevocationList("O=a", 1000.0, 2000.0)
ENDLESS = RevocationList("O=b", 1000.0, inf)
WARNING, ERROR = logging.WARNING, logging.ERROR


@pytest.mark.parametrize(
    ("times", "levels"),
    [
        ([1000, 1500, 1749], [[], [], []]),
        ([1750, 1751, 1999], [[WARNING], [], []]),
        ([1999, 2000, 2001, 2059, 2060], [[WARNING], [ERROR], [], [], [ERROR]]),
        ([2000, 1999], [[ERROR], [WARNING]]),  # a clock that was set back
    ],
)
def test_when_something_is_said(times: list[float], levels: list[list[int]]) -> None:
    words = ListWords()
    found = [[level for level, _ in words.news([LIST, ENDLESS], "crl.pem", now)] for now in times]
    assert found == levels


def test_a_new_list_is_looked_at_anew() -> None:
    words, newer = ListWords(), RevocationList("O=a", 1900.0, 2900.0)
    assert len(words.news([LIST], "crl.pem", 2000.0)) == 1
    assert words.news([newer], "crl.pem", 2000.0) == []
    assert words.news([newer, LIST], "crl.pem", 2001.0)[0][0] == ERROR


def test_when_the_first_ends() -> None:
    assert first_list_ends([]) is None
    assert first_list_ends([ENDLESS]) is None
    assert first_list_ends([ENDLESS, LIST]) == 2000.0


def revocations(place: Place, begin: float, end: float) -> bytes:
    signer, now = MESH.root, place.time.date
    made = x509.CertificateRevocationListBuilder(
        signer.certificate.subject,
        now.fromtimestamp(place.time.wall() + begin, now.tzinfo),
        now.fromtimestamp(place.time.wall() + end, now.tzinfo),
    ).sign(signer.key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO)
    return lambda: [
        f"{record.levelname} {record.getMessage()}"
        for record in caplog.records
        if "revocation list of" in record.getMessage()
    ]


def test_a_list_of_the_workloads(tmp_path: Path, lines: Callable[[], list[str]]) -> None:
    place = Place(tmp_path / "certs")
    put(place.folder, {CRL: revocations(place, 0, DAY / 4)})
    place.start(place.issue())
    fact = "meshproxy_crl_expiry_seconds:ROOTCA"
    assert place.secrets.facts()[fact] == pytest.approx(DAY / 4, abs=2)
    place.time.jump(DAY / 8)
    assert lines() == []
    place.time.jump(DAY / 12)
    (warning,) = lines()
    assert warning.startswith(f"WARNING {place.folder / CRL}: the revocation list of ")
    assert "has not been replaced: it expires at 20" in warning
    place.time.jump(DAY / 12)
    assert lines()[1].startswith("ERROR ")
    assert "crl_expired" in lines()[1]
    assert place.secrets.facts()[fact] < 0
    assert len(lines()) == 2
    place.time.jump(61)
    assert len(lines()) == 3, "again and again"
    put(place.folder, {CRL: revocations(place, 0, DAY / 4)})
    place.time.advance(1)
    place.time.jump(61)
    assert len(lines()) == 3
    assert place.secrets.facts()[fact] > 0
    (place.folder / CRL).unlink()
    place.time.advance(1)
    assert fact not in place.secrets.facts()


def test_workers_are_told_when_something_ends(tmp_path: Path) -> None:
    place = Place(tmp_path / "certs")
    put(place.folder, {CRL: revocations(place, 0, DAY / 4)})
    place.start(place.issue())
    assert place.used is not None
    first, second, *_ = place.used.ends
    assert first == pytest.approx(place.time.wall() + DAY / 4, abs=2)
    assert second == place.used.not_after
