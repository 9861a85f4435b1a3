"""WebSocket between our sidecar and a real Envoy, set up as Istio does, over either HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.envoy import program
from tests.support.hop import BACK, FRONT, PROTOCOLS, Called, Caller, called, caller, service_of
from tests.support.node import SCRIPTS, Node, missing
from tests.support.peers import LOCAL, Peer, ask, request
from tests.support.pki import Authority
from tests.support.sidecar import free_port

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
    pytest.mark.skipif(program() is None, reason="not installed: envoy"),
]


@dataclass(frozen=True)
class Place:
    app: Node
    near: Caller
    far: Called
    port: int
    host: str

    def talk(self, name: str) -> None:
        """Text, a megabyte, and an end that both see. Where the app closes, Envoy resets the
        stream, right after its last words."""
        with Node("client.cjs") as client:
            url = f"ws://{LOCAL}:{self.port}/echo?id={name}"
            client.do("open", id=name, url=url, host=self.host)
            client.wait("open", id=name)
            self.app.wait("open", id=name)
            client.do("text", id=name, text="grüße")
            digest = hashlib.sha256("grüße".encode()).hexdigest()
            client.wait("message", id=name, digest=digest)
            client.do("bytes", id=name, size=1 << 20)
            told = client.wait("message", 30, id=name, size=1 << 20)
            assert told["digest"] == client.seen("sent")[0]["digest"]
            client.do("close", id=name, code=4321, reason="enough")
            self.app.wait("close", id=name, code=4321)
            client.wait("close", id=name, code=4321)


@contextmanager
def a_place(near: str, far: str, protocol: str, **more: Any) -> Iterator[Place]:
    """The caller's service ``protocol`` leads to the called end's port for HTTP/1.1 apps."""
    authority = Authority()
    app_port = free_port()
    apps: Any = SimpleNamespace(ports=dict.fromkeys(PROTOCOLS, app_port))
    upgrade = more.pop("upgrade", False)
    with (
        Node("app.cjs", str(app_port), str(SCRIPTS / "page.html")) as app,
        called(far, authority.issue(BACK), apps, old_app=True, **more) as server,
    ):
        to = {**server.ports, "http2": server.ports["http"]}
        with caller(near, authority.issue(FRONT), to, upgrade=upgrade) as client:
            host = service_of(protocol)
            yield Place(app, client, server, client.ports[protocol], host)


@pytest.mark.parametrize(("protocol", "version"), [("http", "HTTP/1.1"), ("http2", "HTTP/2")])
def test_envoy_calls(protocol: str, version: str) -> None:
    with a_place("envoy", "ours", protocol) as place:
        place.talk("a")
        line = place.far.ours.access("/echo?id=a")
        assert f'"GET /echo?id=a {version}" 101 ' in line


@pytest.mark.parametrize(
    ("upgrade", "allow", "version"),
    [
        pytest.param(False, False, "HTTP/1.1", id="HTTP/1.1"),
        pytest.param(True, True, "HTTP/2", id="HTTP/2"),
        # Istio's own sidecars can't (istio/istio#27078): it is a connection of HTTP/1.1 then.
        pytest.param(True, False, "HTTP/1.1", id="HTTP/2 that takes no CONNECT"),
    ],
)
def test_envoy_is_called(upgrade: bool, allow: bool, version: str) -> None:
    with a_place("ours", "envoy", "http", upgrade=upgrade, allow_connect=allow) as place:
        place.talk("b")
        assert place.far.envoy.logged(path="/echo?id=b")["protocol"] == version
        line = place.near.ours.access("/echo?id=b")
        assert '"GET /echo?id=b HTTP/1.1" 101 ' in line
        assert ask(place.port, "/plain", host=place.host).status == 200
        logged = place.far.envoy.logged(path="/plain")
        assert logged["protocol"] == ("HTTP/2" if upgrade else "HTTP/1.1")


def test_a_service_of_http2_that_takes_no_upgrades() -> None:
    """It is declared to speak HTTP/2: nothing else is tried, and the caller is told why."""
    with a_place("ours", "envoy", "http2") as place, Node("client.cjs") as client:
        url = f"ws://{LOCAL}:{place.port}/echo?id=c"
        client.do("open", id="c", url=url, host=place.host)
        assert "502" in client.wait("error", id="c")["text"]
        assert " 502 UPE upgrade_failed " in place.near.ours.access("/echo?id=c")


@pytest.mark.parametrize(("token", "status"), [("my-protocol/7", 403), ("CONNECT", 404)])
def test_what_envoy_refuses_as_istio_sets_it_up(token: str, status: int) -> None:
    """Ours passes both (docs/configuration.md); a route or a policy may still refuse them."""
    with a_place("envoy", "ours", "http") as place, Peer.connect(place.port) as client:
        if token == "CONNECT":
            client.send(f"CONNECT {place.host}:80 HTTP/1.1\r\nHost: {place.host}:80\r\n\r\n")
        else:
            fields = [("Connection", "Upgrade"), ("Upgrade", token)]
            client.send(request("GET", "/refused", place.host, fields))
        assert client.head().status == status
