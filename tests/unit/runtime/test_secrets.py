"""Certificates as they change: real files, time that is made up."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from meshproxy.authority.files import write_together
from meshproxy.model.secret import WORKLOAD, Secret, SecretRef
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.tls import TlsMode, UpstreamTls
from meshproxy.runtime.secrets import Secrets
from tests.support.certs import CART, CHAIN, CRL, KEY, ROOTS, Mesh, Pair, put, serial
from tests.support.fakes import FakeClock
from tests.support.models import a_cluster

MESH = Mesh()
DAY = 86400.0


class Time(FakeClock):
    """A clock, and the loop's timers."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        cancelled: list[bool] = []
        self.call_at(self.now + delay, lambda: None if cancelled else callback())

        class Handle:
            def cancel(self) -> None:
                cancelled.append(True)

        return Handle()

    def jump(self, seconds: float) -> None:
        """Much time at once, without all the looks in between."""
        self.now += seconds
        self.advance(2)

    @property
    def date(self) -> datetime:
        return datetime.fromtimestamp(self.wall(), UTC)


class Place:
    """Secrets over a directory, and what workers were told."""

    def __init__(self, folder: Path, required: bool = True) -> None:
        self.time = Time()
        self.folder = folder
        self.told: list[Mapping[SecretRef, Secret | None]] = []
        self.identities = 0
        loop = cast(asyncio.AbstractEventLoop, self.time)
        self.secrets = Secrets(loop, self.time, str(folder), required, self.told.append)
        self.secrets.on_identity = self._count

    def _count(self) -> None:
        self.identities += 1

    def start(self, *pairs: Pair) -> Pair:
        pair = pairs[0] if pairs else self.issue()
        put(self.folder, pair.files())
        self.secrets.start()
        self.secrets.watch()
        return pair

    def issue(self, **options: Any) -> Pair:
        return MESH.issue(**{"now": self.time.date, **options})

    @property
    def used(self) -> Secret | None:
        """What workers have of the workload."""
        found = None
        for told in self.told:
            found = told.get(WORKLOAD, found)
        return found

    @property
    def reason(self) -> str:
        return self.secrets.unready_reason()

    def count(self, result: str) -> float:
        return self.secrets.facts()[f"meshproxy_certificate_updates_total:{result}"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "certs")


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def chain_of(secret: Secret | None) -> bytes:
    assert secret is not None
    return secret.certificate.rstrip()


def test_a_certificate_is_told_with_what_it_says(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    pair = place.start()
    assert place.used is not None
    assert (place.used.identity, place.reason) == (CART, "")
    assert place.used.not_after == pytest.approx(place.time.wall() + DAY, abs=1)
    assert f"certificate {serial(pair):x} of {CART}" in caplog.text
    assert len(place.told) == 1
    place.time.advance(60)
    assert len(place.told) == 1  # and not again without need


# Rotation.


def test_file_by_file(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Slowly enough for each step to be seen; what is in use stays until both halves are there."""
    first = place.start()
    second = place.issue()
    for name in (CHAIN, KEY):
        assert chain_of(place.used) == first.chain.rstrip()
        put(place.folder, {name: second.files()[name]})
        place.time.advance(1)
    assert chain_of(place.used) == second.chain.rstrip()
    assert "the last good one stays in use" in caplog.text
    assert (place.count("accepted"), place.count("rejected")) == (2, 1)
    assert place.reason == ""


@pytest.mark.parametrize("cut", [0, 100, 400])
def test_a_half_written_chain_is_not_used(place: Place, cut: int) -> None:
    first = place.start()
    second = place.issue()
    put(place.folder, {CHAIN: second.chain[:cut], KEY: second.key})
    place.time.advance(1)
    assert chain_of(place.used) == first.chain.rstrip()
    assert place.reason == ""
    put(place.folder, {CHAIN: second.chain})
    place.time.advance(1)
    assert chain_of(place.used) == second.chain.rstrip()


def test_a_swap_of_the_data_link(tmp_path: Path) -> None:
    place = Place(tmp_path / "certs")
    first, second = place.issue(), place.issue()
    write_together(place.folder, first.files(), frozenset({KEY}))
    place.secrets.start()
    place.secrets.watch()
    assert chain_of(place.used) == first.chain.rstrip()
    write_together(place.folder, second.files(), frozenset({KEY}))
    place.time.advance(0.5)
    assert chain_of(place.used) == second.chain.rstrip()
    assert place.count("rejected") == 0


def test_a_swap_of_the_directory(tmp_path: Path) -> None:
    """By a link that is renamed over, and by renaming directories themselves."""
    for at in (1, 2):
        put(tmp_path / f"v{at}", Mesh.issue(MESH, now=Time().date).files())
    link = tmp_path / "certs"
    link.symlink_to("v1")
    place = Place(link)
    place.secrets.start()
    place.secrets.watch()
    first = chain_of(place.used)
    (tmp_path / "fresh").symlink_to("v2")
    os.replace(tmp_path / "fresh", link)
    place.time.advance(0.5)
    second = chain_of(place.used)
    assert second != first
    (tmp_path / "v2").rename(tmp_path / "old")
    (tmp_path / "v1").rename(tmp_path / "v2")
    place.time.advance(0.5)
    assert chain_of(place.used) == first


def test_other_roots_reach_workers_too(place: Place) -> None:
    place.start()
    more = Mesh()
    put(place.folder, {ROOTS: MESH.roots + more.roots})
    place.time.advance(0.5)
    assert place.used is not None
    assert place.used.roots.count(b"BEGIN CERT") == 2
    # Without the root that it leads to, the certificate can't be right.
    put(place.folder, {ROOTS: more.roots})
    place.time.advance(0.5)
    assert place.used.roots.count(b"BEGIN CERT") == 2
    pair = more.issue(now=place.time.date)
    put(place.folder, pair.files())
    place.time.advance(0.5)
    assert chain_of(place.used) == pair.chain.rstrip()


def test_a_revocation_list_may_come_later(place: Place) -> None:
    from tests.unit.runtime.test_loaded import revocations

    place.start()
    assert place.used is not None
    assert place.used.crl == b""
    put(place.folder, {CRL: revocations(MESH)})
    place.time.advance(0.5)
    assert b"X509 CRL" in place.used.crl
    (place.folder / CRL).unlink()
    place.time.advance(0.5)
    assert place.used.crl == b""


def test_what_is_deleted_stays_in_use(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    pair = place.start()
    for name in pair.files():
        (place.folder / name).unlink()
    place.time.advance(5)
    assert chain_of(place.used) == pair.chain.rstrip()
    assert place.reason == ""
    assert caplog.text.count("is not there; the last good one stays in use") == 1


def test_what_changes_before_it_is_watched_is_seen(place: Place) -> None:
    put(place.folder, place.issue().files())
    place.secrets.start()
    second = place.issue()
    put(place.folder, second.files())
    place.secrets.watch()
    place.time.advance(0.5)
    assert chain_of(place.used) == second.chain.rstrip()


# Without.


def test_a_named_place_without_a_certificate_is_not_ready(place: Place) -> None:
    place.secrets.start()
    place.secrets.watch()
    assert place.secrets.identity_wanted
    assert "cert-chain.pem is not there" in place.reason
    place.time.advance(3)
    put(place.folder, place.issue().files())
    place.time.advance(0.5)
    assert place.reason == ""
    assert (len(place.told), place.identities) == (1, 1)


def test_without_a_place_there_is_no_identity(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path / "certs", required=False)
    place.secrets.start()
    place.secrets.watch()
    place.time.advance(5)
    assert not place.secrets.identity_wanted
    assert (place.reason, place.told) == ("", [])
    assert caplog.text.count("no identity") == 1
    assert {record.levelname for record in caplog.records} == {"INFO"}
    # It may still come, and then it must be right.
    put(place.folder, {KEY: place.issue().key})
    place.time.advance(1)
    assert "cert-chain.pem is not there" in place.reason
    put(place.folder, place.issue().files())
    place.time.advance(1)
    assert (place.reason, place.identities) == ("", 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({KEY: MESH.issue().key}, "the key in"),
        ({CHAIN: b""}, "holds no certificate"),
        ({ROOTS: Mesh().roots}, "does not lead to a root"),
    ],
)
def test_what_can_not_be_used_is_said_as_the_reason(
    place: Place, change: Mapping[str, bytes], said: str
) -> None:
    put(place.folder, {**place.issue().files(), **change})
    place.secrets.start()
    assert said in place.reason
    assert place.used is None


# Time.


def test_warnings_while_a_life_ends(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.start()
    said = []
    for _ in range(48):
        caplog.clear()
        place.time.jump(1790)
        said += [record.message for record in caplog.records]
    marks = [text.partition("less than ")[2][:4] for text in said]
    assert marks == ["50 %", "25 %", "10 %"]


def test_only_the_lowest_mark_is_said_of_what_is_old_already(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.start(place.issue(now=place.time.date - timedelta(hours=20)))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert "less than 25 %" in caplog.text


def test_an_expired_certificate_is_loud_until_it_is_replaced(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.start()
    place.time.jump(DAY - 4)
    caplog.clear()
    assert place.reason == ""
    place.time.advance(4)
    assert "has expired at 2023-11-15T22:30:00Z" in place.reason
    assert caplog.text.count("has expired") == 1
    place.time.advance(50)
    assert caplog.text.count("has expired") == 1
    place.time.advance(130)
    assert caplog.text.count("has expired") == 4
    assert place.secrets.facts()["istio_agent_cert_expiry_seconds:default"] < -100
    put(place.folder, place.issue().files())
    place.time.advance(0.5)
    assert place.reason == ""


@pytest.mark.parametrize(("days", "said"), [(-3, "has expired at"), (3, "is not valid before")])
def test_one_that_is_not_valid_from_the_start(place: Place, days: int, said: str) -> None:
    place.start(place.issue(now=place.time.date + timedelta(days=days)))
    assert said in place.reason
    # Peers may have another clock: it is theirs to refuse it.
    assert place.used is not None


def test_a_valid_one_is_not_replaced_by_one_that_is_not(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    first = place.start()
    put(place.folder, place.issue(now=place.time.date - timedelta(days=3)).files())
    place.time.advance(1)
    assert chain_of(place.used) == first.chain.rstrip()
    assert place.reason == ""
    later = place.issue(now=place.time.date + timedelta(hours=1))
    put(place.folder, later.files())
    place.time.jump(60)
    assert chain_of(place.used) == first.chain.rstrip()
    assert "is not valid before" in caplog.text
    place.time.jump(3600)  # its hour has come
    assert chain_of(place.used) == later.chain.rstrip()
    assert place.count("accepted") == 2


# Secrets of clusters.


def snapshot(*refs: SecretRef, domain: str = "cluster.local") -> Snapshot:
    clusters = [
        a_cluster(f"outbound|443||s{at}", tls=UpstreamTls(TlsMode.MUTUAL, secret=ref))
        for at, ref in enumerate(refs)
    ]
    return Snapshot(clusters={each.name: each for each in clusters}, trust_domain=domain)


def test_files_that_clusters_name(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.start()
    folder = place.folder.parent
    put(folder / "a", place.issue().files())
    mutual = SecretRef(*(str(folder / "a" / name) for name in (CHAIN, KEY, ROOTS)))
    simple = SecretRef(roots=str(folder / "a" / ROOTS))
    missing = SecretRef(roots=str(folder / "late.pem"))
    place.told.clear()
    place.secrets.follow(snapshot(mutual, simple, missing, WORKLOAD), {})
    told = {ref: secret for each in place.told for ref, secret in each.items()}
    assert told.keys() == {mutual, simple, missing}
    assert told[mutual] is not None
    assert told[mutual].identity == CART
    assert told[simple] == Secret(roots=(folder / "a" / ROOTS).read_bytes())
    assert told[missing] is None
    assert f"{missing.roots} is not there" in caplog.text
    assert place.reason == ""  # the workload itself is well

    place.told.clear()
    (folder / "late.pem").write_bytes(MESH.roots)
    place.time.advance(0.5)
    assert place.told == [{missing: Secret(roots=MESH.roots)}]

    # A plan that is about to go may still be using what the next one does not name.
    place.told.clear()
    place.secrets.follow(snapshot(simple), {})
    assert place.told == []
    place.secrets.follow(snapshot(simple), {})
    assert place.told == [{mutual: None, missing: None}]
    put(folder / "a", place.issue().files())
    place.time.advance(1)
    assert place.told[1:] == [{simple: Secret(roots=(folder / "a" / ROOTS).read_bytes())}]


def test_secrets_that_stand_in_the_configuration(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.start()
    ref, other = SecretRef(credential="shop/tls"), SecretRef(credential="shop/none")
    given = Secret(*place.issue())
    place.told.clear()
    place.secrets.follow(snapshot(ref, other), {ref: given})
    assert place.told[0][ref] is not None
    assert place.told[1] == {other: None}
    assert "there is no Secret shop/none" in caplog.text
    broken = Secret(given.certificate, place.issue().key, given.roots)
    place.told.clear()
    place.secrets.follow(snapshot(ref), {ref: broken})
    assert place.told == []
    assert "the key in tls.key of Secret shop/tls is not that" in caplog.text
    place.secrets.follow(snapshot(ref), {})  # taken away
    assert {ref: None} in place.told


def test_a_certificate_of_another_mesh_is_remarked_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.start()
    place.secrets.follow(snapshot(), {})
    assert "trust domain" not in caplog.text
    for _ in range(2):
        place.secrets.follow(snapshot(domain="other.example"), {})
    assert caplog.text.count("the mesh's trust domain is other.example") == 1


# What is shown.


def test_no_key_is_ever_shown_or_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    pair = place.start()
    put(place.folder, {KEY: pair.key[:120]})
    place.time.advance(1)
    put(place.folder, {KEY: place.issue().key})
    place.time.advance(1)
    (shown,) = place.secrets.shown()
    for line in pair.key.decode().splitlines()[1:-1]:
        assert line not in repr(shown)
        assert line not in caplog.text
        assert line not in repr(place.used)


def test_facts(place: Place) -> None:
    place.start()
    place.time.jump(DAY / 4)
    facts = place.secrets.facts()
    assert facts["istio_agent_cert_expiry_seconds:default"] == pytest.approx(DAY * 3 / 4, abs=3)
    assert facts["meshproxy_certificate_life_left_ratio:default"] == pytest.approx(0.75, abs=0.01)
    assert facts["envoy_server_days_until_first_cert_expiring"] == 0
