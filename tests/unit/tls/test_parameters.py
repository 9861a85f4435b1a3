"""Versions, ciphers and modes of servers, agreed on by two ends in memory."""

from __future__ import annotations

import dataclasses
from typing import Any

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
from meshproxy.tls.store import TlsStore
from tests.support.pki import Authority
from tests.unit.tls.conftest import BACK, FRONT, MESH, Pair, secret_of, store_of

V1_2, V1_3 = TlsVersion.V1_2, TlsVersion.V1_3
OWN = SecretRef("/c", "/k", "/r")
AES_128, AES_256 = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"


def agreed(both: Pair) -> str:
    """Version and cipher, or the server's word for why there are none."""
    if both.server_app.failure is not None or both.client_app.failure is not None:
        return (both.server_app.failure or both.client_app.failure).word  # type: ignore[union-attr]
    return f"{both.server.tls.version()} {(both.server.tls.cipher() or ('',))[0]}"


@pytest.mark.parametrize(
    ("mesh", "client", "expected"),
    [
        (ANY, ANY, "TLSv1.3 TLS_AES_256_GCM_SHA384"),
        (ANY, TlsParameters(most=V1_2), f"TLSv1.2 {AES_256}"),
        (TlsParameters(V1_3), ANY, "TLSv1.3 TLS_AES_256_GCM_SHA384"),
        (TlsParameters(V1_3), TlsParameters(most=V1_2), "old_version"),
        (TlsParameters(most=V1_2), ANY, f"TLSv1.2 {AES_256}"),
        (TlsParameters(most=V1_2, ciphers=(AES_128,)), ANY, f"TLSv1.2 {AES_128}"),
        (
            TlsParameters(ciphers=(AES_128,)),
            TlsParameters(most=V1_2, ciphers=(AES_256,)),
            "no_shared_cipher",
        ),
        (TlsParameters(curve="secp384r1"), ANY, "TLSv1.3 TLS_AES_256_GCM_SHA384"),
        (TlsParameters(curve="secp384r1"), TlsParameters(curve="prime256v1"), "broken"),
    ],
)
def test_what_both_ends_speak(
    mesh: TlsParameters, client: TlsParameters, expected: str, front: Secret, back: Secret
) -> None:
    server = store_of(back)
    server.configure(mesh, False)
    wanted = UpstreamTls(TlsMode.MUTUAL, secret=OWN, names=(BACK,), parameters=client)
    caller = store_of(front)
    caller.update({OWN: front})
    assert agreed(Pair(server, caller.client(wanted, ()))) == expected


def test_a_new_plan_changes_the_next_handshake(front: Secret, back: Secret) -> None:
    server, caller = store_of(back), store_of(front)
    old = UpstreamTls(
        TlsMode.MUTUAL, secret=OWN, names=(BACK,), parameters=TlsParameters(most=V1_2)
    )
    caller.update({OWN: front})
    side = caller.client(old, ())
    assert agreed(Pair(server, side)).startswith("TLSv1.2")
    server.configure(TlsParameters(V1_3), False)
    assert agreed(Pair(server, side)) == "old_version"
    server.configure(ANY, False)
    assert agreed(Pair(server, side)).startswith("TLSv1.2")


# TLS of a port's own.


def called(
    mode: ServerMode, client: Secret, own: Secret, wanted: TlsMode = TlsMode.MUTUAL
) -> tuple[Any, Any]:
    """What the server knows of its caller, and what the caller was told; or the failures."""
    tls = DownstreamTls(mode, OWN)
    server, caller = TlsStore(lambda: 0.0), TlsStore(lambda: 0.0)
    server.update({OWN: own})
    ref = SecretRef("/mine", "/mine", "/r")
    caller.update({ref: client})
    upstream = UpstreamTls(wanted, secret=ref, names=("shop.example",))
    both = Pair(
        server,
        caller.client(upstream, ()),
        caller=lambda shown: server.faces.client(shown, mode, "", "sni"),
        own=tls,
    )
    both.client.write(b"x")
    both.settle()
    return both.server_app.failure or both.server.secured, both.client_app.lost


@pytest.fixture(scope="module")
def shop(authority: Authority) -> Secret:
    return secret_of(authority.issue("", dns=["shop.example"]))


def test_simple_asks_for_no_certificate(shop: Secret, front: Secret) -> None:
    seen, _ = called(ServerMode.SIMPLE, front, shop)
    assert isinstance(seen, Secured)
    assert (seen.identity, seen.digest, seen.xfcc) == ("", "", b"")
    assert seen.version == "TLSv1.3"


@pytest.mark.parametrize("mode", [ServerMode.MUTUAL, ServerMode.OPTIONAL_MUTUAL])
def test_a_certificate_that_was_shown(mode: ServerMode, shop: Secret, front: Secret) -> None:
    seen, _ = called(mode, front, shop)
    assert (seen.identity, len(seen.digest)) == (FRONT, 64)
    assert seen.xfcc.decode() == f'Hash={seen.digest};Subject="";URI={FRONT}'


@pytest.mark.parametrize("mode", [ServerMode.MUTUAL, ServerMode.OPTIONAL_MUTUAL])
def test_a_certificate_without_a_spiffe_id(
    mode: ServerMode, shop: Secret, authority: Authority
) -> None:
    leaf = authority.issue("", dns=["a.example", "b.example"], uris=["https://a", "https://b"])
    seen, _ = called(mode, secret_of(leaf), shop)
    assert seen.identity == ""
    rest = ";URI=https://a;URI=https://b;DNS=a.example;DNS=b.example"
    assert seen.xfcc.decode() == f'Hash={seen.digest};Subject=""{rest}'


def test_no_certificate(shop: Secret, authority: Authority) -> None:
    nobody = Secret(roots=authority.roots)
    seen, lost = called(ServerMode.MUTUAL, nobody, shop, TlsMode.SIMPLE)
    assert seen.word == "no_certificate"
    assert "certificate required" in str(lost)
    seen, _ = called(ServerMode.OPTIONAL_MUTUAL, nobody, shop, TlsMode.SIMPLE)
    assert (seen.identity, seen.xfcc) == ("", b"")


def test_another_authority_is_refused_where_a_certificate_need_not_be(
    shop: Secret, authority: Authority
) -> None:
    leaf = Authority("other.example").issue("default/front")
    stranger = Secret(leaf.certificate, leaf.key, authority.roots)
    seen, _ = called(ServerMode.OPTIONAL_MUTUAL, stranger, shop)
    assert seen.word == "unknown_ca"


def test_a_port_whose_certificate_is_gone(shop: Secret, front: Secret) -> None:
    own = DownstreamTls(ServerMode.SIMPLE, OWN)
    store = store_of(front)
    assert store.server(own) is None
    store.update({OWN: shop})
    first = store.server(own)
    assert first is not None
    assert store.server(own) is first
    store.update({WORKLOAD: front})
    assert store.server(own) is first, "other secrets do not matter"
    store.update({OWN: None})
    assert store.server(own) is None


def test_what_openssl_does_not_take_is_said_once(
    shop: Secret, front: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    own = DownstreamTls(ServerMode.SIMPLE, OWN)
    store = store_of(front)
    store.update({OWN: dataclasses.replace(shop, key=front.key)})
    for _ in range(3):
        assert store.server(own) is None
    assert caplog.text.count("the files /c, /k, /r can't be used") == 1
    store.update({OWN: shop})
    good = store.server(own)
    assert good is not None
    store.update({OWN: dataclasses.replace(shop, key=front.key)})
    assert store.server(own) is good, "the last good one stays in use"


def test_contexts_of_ports_that_are_gone_are_not_kept(shop: Secret, front: Secret) -> None:
    store = store_of(front)
    store.update({OWN: shop})
    for at in range(5):
        parameters = TlsParameters(ciphers=(AES_128,) * at)
        assert store.server(DownstreamTls(ServerMode.SIMPLE, OWN, parameters)) is not None
        store.configure(ANY, False)
    assert len(store._servers) <= 1
    assert store.server(None) is not None


def test_the_mesh_is_none_of_a_ports_own(front: Secret, back: Secret) -> None:
    """The port's own certificate answers there alone."""
    store = store_of(back)
    other = store_of(front)
    assert agreed(Pair(store, other.client(MESH, ()))).startswith("TLSv1.3")
    assert store.own == "spiffe://cluster.local/ns/default/sa/back"
