"""Who may be on the other end; each refusal has a word of its own."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from meshproxy.model.secret import Secret, SecretRef
from meshproxy.model.tls import TlsMode, UpstreamTls
from meshproxy.tls.store import TlsStore
from tests.support.pki import BAD, BAD_CLIENT, BAD_SERVER, Authority
from tests.unit.tls.conftest import BACK, FRONT, MESH, Pair, secret_of, store_of

NOW = 0.0
ALPN = ("istio",)


def meet(caller: Secret, called: Secret, wanted: UpstreamTls = MESH) -> tuple[Any, Any]:
    """What each end knows of the other in the end: `Secured`, or the failure."""
    server, client = store_of(called), store_of(caller)
    both = Pair(
        server,
        client.client(wanted, ALPN),
        caller=lambda tls: server.faces.caller(tls, BACK, "sni", {"cluster.local"}),
        called=lambda tls: client.faces.server(tls, wanted, FRONT, "sni"),
    )
    both.client.write(b"hello")
    both.settle()
    return (
        both.server_app.failure or both.server.secured,
        both.client_app.failure or both.client_app.lost or both.client.secured,
    )


def test_both_know_each_other(front: Secret, back: Secret) -> None:
    seen, called = meet(front, back)
    assert (seen.identity, seen.own) == (FRONT, BACK)
    assert (called.identity, called.own) == (BACK, FRONT)
    assert seen.version == "TLSv1.3"
    assert len(seen.digest) == 64
    assert seen.xfcc.decode() == f'By={BACK};Hash={seen.digest};Subject="";URI={FRONT}'


# The word for each fault; OpenSSL's own verdicts, and those of the identity rules.
WORDS = {
    "wrong trust domain": "wrong_trust_domain",
    "no SAN": "bad_identity",
    "no URI SAN": "bad_identity",
    "no SPIFFE ID": "bad_identity",
    "two URI SANs": "bad_identity",
    "expired": "expired",
    "not yet valid": "not_yet_valid",
    "self-signed": "self_signed",
    "other authority": "unknown_ca",
    "wrong key usage": "wrong_purpose",
    "may sign certificates": "bad_identity",
    "is an authority": "bad_identity",
    "revoked": "revoked",
    "for servers only": "wrong_purpose",
    "for clients only": "wrong_purpose",
}


@pytest.mark.parametrize("fault", sorted(BAD | BAD_CLIENT))
def test_bad_callers_are_refused(fault: str, authority: Authority, back: Secret) -> None:
    bad = secret_of({**BAD, **BAD_CLIENT}[fault](authority, "default/front"))
    seen, _ = meet(bad, dataclasses.replace(back, crl=authority.crl))
    assert seen.word == WORDS[fault]
    assert seen.reason


@pytest.mark.parametrize("fault", sorted(BAD | BAD_SERVER))
def test_bad_servers_are_refused(fault: str, authority: Authority, front: Secret) -> None:
    bad = secret_of({**BAD, **BAD_SERVER}[fault](authority, "default/back"))
    _, called = meet(dataclasses.replace(front, crl=authority.crl), bad)
    wrong_name = {"wrong trust domain": "wrong_identity"}
    assert called.word == wrong_name.get(fault, WORDS[fault])


def test_callers_without_a_certificate(back: Secret, authority: Authority) -> None:
    nobody = Secret(roots=back.roots)
    wanted = UpstreamTls(TlsMode.SIMPLE, secret=SecretRef(roots="/roots"), names=(BACK,))
    server, client = store_of(back), TlsStore(lambda: 0.0)
    client.update({wanted.secret: nobody})
    both = Pair(server, client.client(wanted, ()))
    both.settle()
    assert both.server_app.failure is not None
    assert both.server_app.failure.word == "no_certificate"
    assert "certificate required" in str(both.client_app.lost), "the alert says why"


SOMEBODY = "spiffe://cluster.local/ns/default/sa/somebody"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((SOMEBODY,), f"the server is {BACK}, not {SOMEBODY}"),
        ((SOMEBODY, "x", "y"), f"the server is {BACK}, not {SOMEBODY} or x or 1 others"),
        ((), f"the server is {BACK}, and no identity is known that it may have"),
    ],
)
def test_secure_naming(names: tuple[str, ...], said: str, front: Secret, back: Secret) -> None:
    _, called = meet(front, back, dataclasses.replace(MESH, names=names))
    assert (called.word, called.reason) == ("wrong_identity", said)


@pytest.mark.parametrize(
    ("names", "fits"),
    [
        (("back.example",), True),
        (("a.wild.example",), True),
        (("A.WILD.example",), True),
        (("a.b.wild.example",), False),
        (("wild.example",), False),
        (("10.1.2.3",), True),
        ((BACK,), True),
        (("other.example", "back.example"), True),
        (("other.example",), False),
    ],
)
def test_names_of_servers_outside_the_mesh(
    names: tuple[str, ...], fits: bool, authority: Authority, front: Secret
) -> None:
    leaf = authority.issue("default/back", dns=["back.example", "*.wild.example"], ips=["10.1.2.3"])
    wanted = UpstreamTls(TlsMode.MUTUAL, secret=SecretRef("c", "k", "r"), names=names)
    client = TlsStore(lambda: NOW)
    client.update({wanted.secret: front})
    both = Pair(
        store_of(secret_of(leaf)),
        client.client(wanted, ()),
        called=lambda tls: client.faces.server(tls, wanted, FRONT, "sni"),
    )
    assert (both.client.secured is not None) == fits


def test_what_has_expired_meanwhile_is_no_longer_taken(front: Secret, back: Secret) -> None:
    """A resumed session is not looked at by OpenSSL again."""
    late = store_of(back, wall=4e9)
    both = Pair(
        late,
        store_of(front).client(MESH, ALPN),
        caller=lambda tls: late.faces.caller(tls, BACK, "sni", {"cluster.local"}),
    )
    assert both.server_app.failure is not None
    assert both.server_app.failure.word == "expired"
