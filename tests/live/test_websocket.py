"""WebSocket with those who made it common: Node's `ws` and Chromium, through two sidecars with
mutual TLS between them, and HTTP/1.1 or HTTP/2 (RFC 8441) inside of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.hop import BACK, FRONT, FRONT_ID, PROTOCOLS, Caller, called, caller, service_of
from tests.support.namespaces import tool
from tests.support.node import SCRIPTS, Node, missing
from tests.support.peers import LOCAL, wait_until
from tests.support.pki import Authority
from tests.support.sidecar import Sidecar, free_port

pytestmark = [pytest.mark.peer, pytest.mark.skipif(bool(missing()), reason=missing() or "-")]

CHROMIUM = tool("chromium") or ""
HOST = service_of("http")
LARGE = 10 << 20


@dataclass(frozen=True)
class Place:
    """``app`` is the server, ``near`` and ``far`` the sidecars of the caller and of the app."""

    app: Node
    port: int
    near: Sidecar
    far: Sidecar

    def open(self, client: Node, name: str, path: str = "/echo") -> None:
        self.ask(client, name, path)
        client.wait("open", id=name)
        self.app.wait("open", id=name)

    def ask(self, client: Node, name: str, path: str = "/echo") -> None:
        mark = "&" if "?" in path else "?"
        url = f"ws://{LOCAL}:{self.port}{path}{mark}id={name}"
        client.do("open", id=name, url=url, host=HOST)


@contextlib.contextmanager
def a_place(upgrade: bool = False, **more: Any) -> Iterator[Place]:
    """``upgrade``: the sidecars speak HTTP/2 with each other."""
    authority = Authority()
    app_port = free_port()
    ports: Any = SimpleNamespace(ports=dict.fromkeys(PROTOCOLS, app_port))
    with (
        Node("app.cjs", str(app_port), str(SCRIPTS / "page.html")) as app,
        called("ours", authority.issue(BACK), ports, **more) as far,
        caller("ours", authority.issue(FRONT), far.ports, upgrade=upgrade, **more) as near,
    ):
        assert isinstance(near, Caller)
        yield Place(app, near.ports["http"], near.ours, far.ours)


@pytest.fixture(
    scope="module",
    params=[(1, False), (2, False), (1, True), (2, True)],
    ids=["1 worker", "2 workers", "1 worker, HTTP/2", "2 workers, HTTP/2"],
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    workers, upgrade = request.param
    with a_place(workers=workers, upgrade=upgrade) as found:
        yield found


@pytest.fixture
def client() -> Iterator[Node]:
    with Node("client.cjs") as node:
        yield node


def test_text_and_binary(place: Place, client: Node) -> None:
    place.open(client, "a")
    assert FRONT_ID in place.app.wait("open", id="a")["by"]
    for text in ("hello", "grüße ✓", "", "x" * 70_000):
        client.do("text", id="a", text=text)
        raw = text.encode()
        told = client.wait("message", id="a", digest=hashlib.sha256(raw).hexdigest())
        assert (told["binary"], told["size"]) == (False, len(raw))
    for size in (1, 125, 126, 65_535, 65_536):
        client.do("bytes", id="a", size=size)
        assert client.wait("message", id="a", size=size)["binary"]
    sent = {each["digest"] for each in client.seen("sent")}
    assert sent == {each["digest"] for each in client.seen("message", binary=True)}


def test_a_large_message(place: Place, client: Node) -> None:
    place.open(client, "large")
    client.do("bytes", id="large", size=LARGE)
    told = client.wait("message", 30, id="large")
    assert told["size"] == LARGE
    assert told["digest"] == client.seen("sent")[0]["digest"]


def test_ping_and_pong(place: Place, client: Node) -> None:
    place.open(client, "mine")
    client.do("ping", id="mine", data="are you there?")
    client.wait("pong", id="mine", data="are you there?")
    place.app.wait("ping", id="mine", data="are you there?")
    place.open(client, "theirs", "/ping?data=and+you")
    client.wait("ping", id="theirs", data="and you")
    place.app.wait("pong", id="theirs", data="and you")


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_the_client_closes(place: Place, client: Node, code: int) -> None:
    place.open(client, f"c{code}")
    client.do("close", id=f"c{code}", code=code, reason="grüße")
    assert place.app.wait("close", id=f"c{code}", code=code)["reason"] == "grüße"
    assert client.wait("close", id=f"c{code}", code=code)["reason"] == "grüße"


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_the_app_closes(place: Place, client: Node, code: int) -> None:
    place.ask(client, f"s{code}", f"/close?code={code}&reason=enough")
    assert client.wait("close", id=f"s{code}", code=code)["reason"] == "enough"
    place.app.wait("close", id=f"s{code}", code=code)


def test_closing_without_a_code(place: Place, client: Node) -> None:
    place.ask(client, "none", "/close")
    client.wait("close", id="none", code=1005)


def test_breaking_off(place: Place, client: Node) -> None:
    """1006: the connection ended without a word."""
    place.open(client, "mine-1006")
    client.do("terminate", id="mine-1006")
    place.app.wait("close", id="mine-1006", code=1006)
    place.ask(client, "theirs-1006", "/terminate")
    client.wait("close", id="theirs-1006", code=1006)


def test_an_app_that_refuses(place: Place, client: Node) -> None:
    place.ask(client, "refused", "/refuse")
    told = client.wait("error", id="refused")
    assert "403" in told["text"]


def test_a_hundred_at_once(place: Place, client: Node) -> None:
    ids = [f"m{at}" for at in range(100)]
    for each in ids:
        place.ask(client, each)
    wait_until(lambda: len(client.seen("open")) == 100, "a hundred connections")
    for turn in range(1, 4):
        for each in ids:
            client.do("bytes", id=each, size=1000 * turn)
        wait_until(
            lambda turn=turn: len(client.seen("message")) == 100 * turn,  # type: ignore[misc]
            lambda: f"all answers ({len(client.seen('message'))} came)",
        )
    sent = {each["digest"] for each in client.seen("sent")}
    assert sent == {each["digest"] for each in client.seen("message")}
    for each in ids:
        client.do("close", id=each, code=1000, reason="")
    wait_until(lambda: len(client.seen("close", code=1000)) == 100, "all of them to close")


BETWEEN = pytest.mark.parametrize("upgrade", [False, True], ids=["HTTP/1.1", "HTTP/2"])


@BETWEEN
@pytest.mark.parametrize("end", ["near", "far"])
def test_a_sidecar_that_drains(client: Node, end: str, upgrade: bool) -> None:
    """What is open goes on until it ends by itself; then the sidecar is gone at once."""
    with a_place(drain="20s", upgrade=upgrade) as place:
        place.open(client, "a")
        sidecar: Sidecar = getattr(place, end)
        sidecar.signal(signal.SIGTERM)
        sidecar.wait_for_log("draining")
        for size in (10, 100_000):
            client.do("bytes", id="a", size=size)
            client.wait("message", id="a", size=size)
        client.do("ping", id="a", data="still")
        client.wait("pong", id="a", data="still")
        assert not sidecar.ended
        client.do("close", id="a", code=1001, reason="going")
        client.wait("close", id="a", code=1001)
        assert sidecar.wait(5) == 0


@BETWEEN
@pytest.mark.parametrize("end", ["near", "far"])
def test_draining_has_an_end(client: Node, end: str, upgrade: bool) -> None:
    with a_place(drain="1s", upgrade=upgrade) as place:
        place.open(client, "a")
        sidecar: Sidecar = getattr(place, end)
        sidecar.signal(signal.SIGTERM)
        client.wait("close", id="a", code=1006)
        place.app.wait("close", id="a", code=1006)
        assert sidecar.wait(5) == 0


@pytest.mark.skipif(not CHROMIUM, reason="not installed: chromium")
def test_a_browser(place: Place, tmp_path: Path) -> None:
    """The page comes through the sidecars, and so does its report."""
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--host-resolver-rules=MAP {HOST} {LOCAL}",
        "--remote-debugging-port=0",  # it would end once the page is there
        f"http://{HOST}:{place.port}/",
    ]
    before = len(place.app.seen("report"))
    environment = {**os.environ, "HOME": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        browser = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        wait_until(lambda: len(place.app.seen("report")) > before, "the browser", patience=60)
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
    found = place.app.seen("report")[before]["report"]
    assert "error" not in found, found
    for name in ("text", "binary", "large"):
        same, extensions, end = found[name]
        assert same, name
        assert extensions.startswith("permessage-deflate")
        assert end == [1000, "done", True]
    assert found["closed"] == [4321, "enough", True]
    assert found["broken"] == [1006, "", False]
    assert found["refused"] == [1006, "", False]
    assert found["many"] == 100


def test_an_upgrade_is_one_request_in_metrics(place: Place, client: Node) -> None:
    place.open(client, "counted")
    client.do("close", id="counted", code=1000, reason="")
    client.wait("close", id="counted", code=1000)
    for sidecar, reporter in ((place.near, "source"), (place.far, "destination")):
        wait_until(
            lambda sidecar=sidecar, reporter=reporter: (  # type: ignore[misc]
                sidecar.metrics().value(
                    "istio_requests_total", response_code="101", reporter=reporter
                )
            ),
            f"the request of {reporter}",
        )


def test_which_http_is_spoken_where(
    place: Place, client: Node, request: pytest.FixtureRequest
) -> None:
    path = "/echo?spoken&id=spoken"
    place.open(client, "spoken", "/echo?spoken")
    client.do("close", id="spoken", code=1000, reason="")
    client.wait("close", id="spoken", code=1000)
    between = "HTTP/2" if "HTTP/2" in request.node.callspec.id else "HTTP/1.1"
    assert f'"GET {path} HTTP/1.1" 101 ' in place.near.access(path)
    assert f'"GET {path} {between}" 101 ' in place.far.access(path)
