"""Callers' sessions: resumed only where they may be, and never past what made them."""

from __future__ import annotations

import dataclasses

import pytest

from meshproxy.model.secret import WORKLOAD, Secret, SecretRef
from meshproxy.model.tls import (
    ANY,
    DownstreamTls,
    ServerMode,
    TlsMode,
    TlsParameters,
    TlsVersion,
    UpstreamTls,
)
from meshproxy.record import Secured
from meshproxy.tls import store as module
from meshproxy.tls.errors import TlsFailure
from meshproxy.tls.store import ClientSide, TlsStore
from tests.support.pki import Authority
from tests.unit.tls.conftest import BACK, FRONT, Pair, secret_of

OWN = SecretRef("/c", "/k", "/r")
VERSIONS = pytest.mark.parametrize("version", list(TlsVersion))


class Ends:
    """A server whose clock is set by hand, and a caller that keeps what it is given."""

    def __init__(
        self,
        called: Secret,
        caller: Secret,
        tickets: bool = True,
        version: TlsVersion = TlsVersion.V1_3,
    ) -> None:
        self.now = 0.0
        self.server = TlsStore(lambda: self.now)
        self.server.update({WORKLOAD: called})
        self.server.configure(ANY, tickets)
        client = TlsStore(lambda: 0.0)
        client.update({OWN: caller})
        wanted = UpstreamTls(
            TlsMode.MUTUAL, secret=OWN, names=(BACK,), parameters=TlsParameters(most=version)
        )
        self.side: ClientSide = client.client(wanted, ())

    def meet(self, own: DownstreamTls | None = None) -> Secured | TlsFailure | None:
        """One connection; whom the server knows at its other end."""
        self.both = both = Pair(
            self.server,
            self.side,
            caller=lambda tls: self.server.faces.caller(tls, BACK, "", {"cluster.local"}),
            own=own,
        )
        both.server.write(b"hello")
        both.settle()
        if both.server_app.failure is None:
            self.side.keep_session("back:80", both.client.tls)
        return both.server_app.failure or both.server.secured

    @property
    def resumed(self) -> bool:
        assert self.both.server.tls.session_reused == self.both.client.tls.session_reused
        return bool(self.both.server.tls.session_reused)


@VERSIONS
def test_a_session_is_resumed_with_who_it_was_made_by(
    version: TlsVersion, front: Secret, back: Secret
) -> None:
    ends = Ends(back, front, version=version)
    first = ends.meet()
    assert not ends.resumed
    second = ends.meet()
    assert ends.resumed
    assert isinstance(second, Secured)
    assert second == dataclasses.replace(first, cipher=second.cipher)  # type: ignore[type-var]
    assert (second.identity, second.version) == (FRONT, version.value)
    assert f"URI={FRONT}" in second.xfcc.decode()
    ends.meet()
    assert ends.resumed, "and again"


@VERSIONS
def test_not_unless_it_is_set(version: TlsVersion, front: Secret, back: Secret) -> None:
    ends = Ends(back, front, tickets=False, version=version)
    for _ in range(3):
        ends.meet()
        assert not ends.resumed


@VERSIONS
def test_a_new_plan_turns_it_on_and_off(version: TlsVersion, front: Secret, back: Secret) -> None:
    ends = Ends(back, front, version=version)
    ends.meet()
    ends.server.configure(ANY, False)
    ends.meet()
    assert not ends.resumed
    ends.server.configure(ANY, True)
    ends.meet()
    assert not ends.resumed, "that of the first context is forgotten"
    ends.server.configure(ANY, True)
    ends.meet()
    assert ends.resumed, "a plan that changes nothing of it keeps it"


@VERSIONS
@pytest.mark.parametrize("change", ["certificate", "roots", "list"])
def test_not_past_a_change(
    version: TlsVersion, change: str, front: Secret, back: Secret, authority: Authority
) -> None:
    ends = Ends(back, front, version=version)
    ends.meet()
    other = {
        "certificate": secret_of(authority.issue("default/back"), BACK),
        "roots": dataclasses.replace(back, roots=back.roots + Authority("b.example").roots),
        "list": dataclasses.replace(back, crl=authority.crl),
    }[change]
    ends.server.update({WORKLOAD: other})
    assert isinstance(ends.meet(), Secured)
    assert not ends.resumed
    ends.meet()
    assert ends.resumed


@VERSIONS
def test_who_has_been_revoked_does_not_resume(version: TlsVersion, back: Secret) -> None:
    authority = Authority()
    leaf = authority.issue("default/front")
    called = secret_of(authority.issue("default/back"), BACK)
    ends = Ends(called, secret_of(leaf), version=version)
    assert isinstance(ends.meet(), Secured)
    ends.server.update({WORKLOAD: dataclasses.replace(called, crl=authority.revoke(leaf))})
    failure = ends.meet()
    assert isinstance(failure, TlsFailure)
    assert failure.word == "revoked"


@VERSIONS
def test_whose_root_is_trusted_no_more_does_not_resume(version: TlsVersion) -> None:
    mine, theirs = Authority(), Authority()
    leaf = mine.issue("default/back")
    called = Secret(leaf.certificate, leaf.key, mine.roots + theirs.roots, b"", BACK)
    other = theirs.issue("default/front")
    caller = Secret(other.certificate, other.key, mine.roots)
    ends = Ends(called, caller, version=version)
    assert isinstance(ends.meet(), Secured)
    ends.server.update({WORKLOAD: dataclasses.replace(called, roots=mine.roots)})
    failure = ends.meet()
    assert isinstance(failure, TlsFailure)
    assert failure.word == "unknown_ca"


@VERSIONS
def test_not_past_the_end_of_anything(version: TlsVersion, front: Secret, back: Secret) -> None:
    """A root, a revocation list, our own certificate: `Secret.ends` has all of them."""
    ends = Ends(dataclasses.replace(back, ends=(100.0, 200.0)), front, version=version)
    ends.meet()
    ends.now = 99.0
    ends.meet()
    assert ends.resumed
    for now in (100.0, 200.0):
        ends.now = now
        ends.meet()
        assert not ends.resumed
        ends.meet()
        assert ends.resumed
    ends.now = 9999.0
    ends.meet()
    assert ends.resumed, "nothing else ends"


@VERSIONS
def test_not_past_the_callers_certificate(version: TlsVersion, front: Secret, back: Secret) -> None:
    ends = Ends(back, front, version=version)
    ends.meet()
    ends.now = 4e9
    failure = ends.meet()
    assert ends.resumed
    assert isinstance(failure, TlsFailure)
    assert failure.word == "expired"


def test_a_session_of_the_mesh_is_none_of_a_ports_own(front: Secret, back: Secret) -> None:
    """The same certificate, but whoever made a session there may not enter here by it."""
    ends = Ends(back, front)
    ends.server.update({OWN: back})
    ends.meet()
    ends.meet(DownstreamTls(ServerMode.MUTUAL, OWN))
    assert not ends.resumed


def test_our_own_sessions_as_a_client_end_as_well(front: Secret, back: Secret) -> None:
    now = [0.0]
    store = TlsStore(lambda: now[0])
    store.update({OWN: dataclasses.replace(front, ends=(100.0,))})
    wanted = UpstreamTls(TlsMode.MUTUAL, secret=OWN, names=(BACK,))
    side = store.client(wanted, ())
    now[0] = 99.0
    assert store.client(wanted, ()) is side
    now[0] = 100.0
    assert store.client(wanted, ()) is not side


def test_what_openssl_remembers_is_bounded(
    front: Secret, back: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps sessions of TLS 1.2 even without tickets."""
    monkeypatch.setattr(module, "MOST_SESSIONS", 3)
    ends = Ends(back, front, tickets=False, version=TlsVersion.V1_2)
    contexts = []
    for _ in range(7):
        ends.meet()
        contexts.append(ends.server.server(None))
    assert len(set(map(id, contexts))) == 3
