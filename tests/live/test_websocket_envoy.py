"""WebSocket through a real Envoy: in front of us, and behind us, with mutual TLS in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import envoy
from tests.support.hop import (
    BACK,
    FRONT,
    FRONT_ID,
    PROTOCOLS,
    Called,
    Caller,
    called,
    caller,
    service_of,
)
from tests.support.node import SCRIPTS, Node, missing
from tests.support.peers import LOCAL
from tests.support.pki import Authority
from tests.support.sidecar import free_port

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
    pytest.mark.skipif(envoy.program() is None, reason="not installed: Envoy"),
]


@dataclass(frozen=True)
class Place:
    """``app`` is the server, ``near`` and ``far`` the sidecars of the caller and of the app."""

    app: Node
    near: Caller
    far: Called

    def open(self, client: Node, name: str, path: str = "/echo") -> None:
        mark = "&" if "?" in path else "?"
        url = f"ws://{LOCAL}:{self.near.ports['http']}{path}{mark}id={name}"
        client.do("open", id=name, url=url, host=service_of("http"))


@pytest.fixture(
    scope="module",
    params=[("envoy", "ours", "fast"), ("ours", "envoy", "fast"), ("ours", "envoy", "h11")],
    ids=["Envoy in front", "Envoy behind", "Envoy behind, h11"],
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    near_kind, far_kind, codec = request.param
    authority, number = Authority(), free_port()
    ports: Any = SimpleNamespace(ports=dict.fromkeys(PROTOCOLS, number))

    def more(kind: str) -> dict[str, Any]:
        return {"codec": codec} if kind == "ours" else {}

    with (
        Node("app.cjs", str(number), str(SCRIPTS / "page.html")) as app,
        called(far_kind, authority.issue(BACK), ports, **more(far_kind)) as far,
        caller(near_kind, authority.issue(FRONT), far.ports, **more(near_kind)) as near,
    ):
        assert (near.kind, far.kind) == (near_kind, far_kind)
        yield Place(app, near, far)


@pytest.fixture
def client() -> Iterator[Node]:
    with Node("client.cjs") as node:
        yield node


def test_messages(place: Place, client: Node) -> None:
    """Of every kind and size, both ways."""
    place.open(client, "a")
    client.wait("open", id="a")
    assert FRONT_ID in place.app.wait("open", id="a")["by"]
    client.do("text", id="a", text="grüße ✓")
    assert not client.wait("message", id="a", size=len("grüße ✓".encode()))["binary"]
    for size in (0, 125, 65_536, 3 << 20):
        client.do("bytes", id="a", size=size)
        client.wait("message", 20, id="a", size=size)
    sent = {each["digest"] for each in client.seen("sent")}
    assert sent == {each["digest"] for each in client.seen("message", binary=True)}
    client.do("ping", id="a", data="are you there?")
    client.wait("pong", id="a", data="are you there?")


@pytest.mark.parametrize("code", [1000, 4321])
def test_closing(place: Place, client: Node, code: int) -> None:
    place.open(client, f"c{code}")
    client.wait("open", id=f"c{code}")
    client.do("close", id=f"c{code}", code=code, reason="grüße")
    assert place.app.wait("close", id=f"c{code}", code=code)["reason"] == "grüße"
    assert client.wait("close", id=f"c{code}", code=code)["reason"] == "grüße"
    place.open(client, f"s{code}", f"/close?code={code}&reason=enough")
    assert client.wait("close", id=f"s{code}", code=code)["reason"] == "enough"
    place.app.wait("close", id=f"s{code}", code=code)


def test_breaking_off(place: Place, client: Node) -> None:
    place.open(client, "mine")
    client.wait("open", id="mine")
    client.do("terminate", id="mine")
    place.app.wait("close", id="mine", code=1006)
    place.open(client, "theirs", "/terminate")
    client.wait("close", id="theirs", code=1006)


def test_an_app_that_refuses(place: Place, client: Node) -> None:
    place.open(client, "refused", "/refuse")
    assert "403" in client.wait("error", id="refused")["text"]


def test_it_is_one_request_in_the_logs_of_both(place: Place, client: Node) -> None:
    place.open(client, "logged")
    client.wait("open", id="logged")
    client.do("close", id="logged", code=1000, reason="")
    client.wait("close", id="logged", code=1000)
    for end in (place.near, place.far):
        if end.kind == "ours":
            assert '" 101 ' in end.ours.access("id=logged")
        else:
            assert end.envoy.logged(path="/echo?id=logged")["status"] == 101
