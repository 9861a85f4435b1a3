"""Mutual TLS that nobody asked for: to endpoints that have a sidecar, and to no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.hop import BACK, BACK_ID, FRONT, FRONT_ID, me, ours
from tests.support.peers import Ended, ask
from tests.support.pki import Authority
from tests.support.servers import App
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    mesh_config,
    plain,
    service,
    settings,
    workload,
)

_ENOUGH = 24  # requests for both endpoints to have one, but for once in eight million times


@dataclass(frozen=True)
class Place:
    """A service with an app behind a sidecar (``port``) and one that stands alone."""

    client: Sidecar
    server: Sidecar
    called: int
    port: int
    behind: App
    alone: App

    def caller_text(self, account: str = "back", **mesh: object) -> str:
        return caller_text(self.called, self.port, self.alone.port, account, **mesh)

    def seen(self) -> set[tuple[str, bool]]:
        """Who answered, and whether the caller was known by its certificate."""
        found = set()
        for _ in range(_ENOUGH):
            got = ask(self.called, "/", host="shop")
            assert got.status == 200, got.text
            known = got.seen.get("x-forwarded-client-cert") or ""
            found.add((got.json["app"], FRONT_ID in known))
        return found


def caller_text(called: int, port: int, alone: int, account: str, **mesh: object) -> str:
    meshed = workload("shop-1", "shop", {"http": port})
    meshed["spec"]["serviceAccount"] = account
    return config(
        me("front"),
        service("shop", called),
        meshed,
        workload("shop-2", "shop", {"http": alone}),
        mesh_config(**mesh),
        plain([(called, "HTTP")]),
        settings(accessLogFlush="20ms"),
    )


def server_text(port: int, app: int, mode: str) -> str:
    return config(
        me("back"),
        plain(ingress=[(port, "HTTP", app)]),
        istio("PeerAuthentication", "default", {"mtls": {"mode": mode}}),
        settings(accessLogFlush="20ms"),
    )


@pytest.fixture
def place() -> Iterator[Place]:
    authority = Authority()
    called, port = free_port(), free_port()
    with (
        App("behind") as behind,
        App("alone") as alone,
        ours(server_text(port, behind.port, "PERMISSIVE"), authority.issue(BACK)) as server,
        ours(caller_text(called, port, alone.port, "back"), authority.issue(FRONT)) as client,
    ):
        yield Place(client, server, called, port, behind, alone)


def test_each_endpoint_is_called_as_it_can_be(place: Place) -> None:
    assert place.seen() == {("behind", True), ("alone", False)}
    place.client.reload(place.caller_text(enableAutoMtls=False))
    assert place.seen() == {("behind", False), ("alone", False)}


def test_a_server_with_another_account_is_refused(place: Place) -> None:
    place.client.reload(place.caller_text("other"))
    told = [ask(place.called, "/", host="shop") for _ in range(_ENOUGH)]
    assert {got.status for got in told} == {200, 503}
    assert all(BACK_ID in got.text for got in told if got.status == 503)


def test_permissive_takes_both_and_strict_does_not(place: Place) -> None:
    assert ask(place.port, "/").status == 200
    place.server.reload(server_text(place.port, place.behind.port, "STRICT"))
    with pytest.raises((Ended, ConnectionError)):
        ask(place.port, "/")
    assert ("behind", True) in place.seen()
