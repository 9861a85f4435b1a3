"""WebSocket over HTTP/2 with Node at both ends, and an HTTP/1.1 `ws` at either."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.node import SCRIPTS, Node, missing
from tests.support.peers import LOCAL
from tests.support.sidecar import (
    KINDS,
    Sidecar,
    config,
    free_port,
    me,
    plain,
    service,
    settings,
    workload,
)

pytestmark = [pytest.mark.peer, pytest.mark.skipif(bool(missing()), reason=missing() or "-")]

LARGE = 4 << 20


@dataclass(frozen=True)
class Place:
    """Services `old` and `new` are servers that speak HTTP/1.1 and HTTP/2."""

    port: int
    apps: dict[str, Node]
    proxy: Sidecar


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    codec, workers = request.param
    port, old_port, new_port = free_port(), free_port(), free_port()
    text = config(
        me(),
        service("old", port),
        service("new", port, "http2"),
        workload("old-1", "old", {"http": old_port}),
        workload("new-1", "new", {"http2": new_port}),
        plain([(port, "HTTP")]),
        settings(accessLogFlush="20ms"),
    )
    with (
        Node("app.cjs", str(old_port), str(SCRIPTS / "page.html")) as old,
        Node("http2.cjs", str(new_port)) as new,
        Sidecar(text, codec=codec, workers=workers) as proxy,
    ):
        yield Place(port, {"old": old, "new": new}, proxy)


@pytest.mark.parametrize("host", ["old", "new"])
@pytest.mark.parametrize("script", ["client.cjs", "http2.cjs"])
def test_all_pairings(place: Place, script: str, host: str) -> None:
    name = f"{script}-{host}"
    path = f"/echo?id={name}"
    with Node(script) as client:
        client.do(
            "open",
            id=name,
            url=f"ws://{LOCAL}:{place.port}{path}".replace(*spoken(script)),
            host=host,
        )
        client.wait("open", id=name)
        opened = place.apps[host].wait("open", id=name)
        if script == "http2.cjs":
            assert client.wait("settings", id=name)["takes"]
            assert not client.wait("answer", id=name)["accept"], "nobody asked for it"
        if host == "new":
            assert opened["key"] == (script == "client.cjs")
        for text in ("hello", "x" * 70_000):
            client.do("text", id=name, text=text)
            client.wait("message", id=name, digest=hashlib.sha256(text.encode()).hexdigest())
        client.do("bytes", id=name, size=LARGE)
        told = client.wait("message", 30, id=name, size=LARGE)
        assert told["digest"] == client.seen("sent")[0]["digest"]
        client.do("close", id=name, code=4321, reason="enough")
        assert place.apps[host].wait("close", id=name, code=4321)["reason"] == "enough"
        client.wait("close", id=name, code=4321)
    version = "HTTP/1.1" if script == "client.cjs" else "HTTP/2"
    assert f'"GET {path} {version}" 101 ' in place.proxy.access(path)


def spoken(script: str) -> tuple[str, str]:
    """`http2` knows no ws: URLs."""
    return ("ws:", "http:" if script == "http2.cjs" else "ws:")
