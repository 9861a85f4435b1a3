"""Callers' sessions, with OpenSSL's client: resumed if the plan says so, and no further."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.hop import BACK, FRONT, FRONT_ID, me, ours
from tests.support.namespaces import tool
from tests.support.peers import LOCAL, wait_until
from tests.support.pki import CERTIFICATE, KEY, ROOTS, Authority
from tests.support.servers import App
from tests.support.sidecar import Sidecar, config, free_port, istio, plain, settings

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(tool("openssl") is None, reason="not installed: openssl"),
]

VERSIONS = pytest.mark.parametrize("version", ["1_2", "1_3"])
ASK = "GET / HTTP/1.1\r\nHost: back\r\nConnection: close\r\n\r\n"


@dataclass
class Place:
    """One worker: a session is known to the one that made it."""

    proxy: Sidecar
    port: int
    app: App
    front: Path
    authority: Authority
    ticket: bool = False  # whether the last answer came with one

    def text(self, **knobs: bool) -> str:
        return configuration(self.port, self.app.port, **knobs)

    def ask(self, version: str, session: Path) -> str:
        """``New`` or ``Reused``. The session that there is is offered, and the new one kept."""
        command = [
            *("openssl", "s_client", "-connect", f"{LOCAL}:{self.port}", f"-tls{version}"),
            *("-cert", str(self.front / CERTIFICATE), "-key", str(self.front / KEY)),
            *("-CAfile", str(self.front / ROOTS), "-sess_out", str(session), "-ign_eof"),
            *("-alpn", "istio-http/1.1"),
            *(("-sess_in", str(session)) if session.exists() else ()),
        ]
        environment = {**os.environ, "OPENSSL_CONF": os.devnull}
        done = subprocess.run(
            command, input=ASK, env=environment, capture_output=True, text=True, timeout=20
        )
        assert "HTTP/1.1 200" in done.stdout, done.stdout + done.stderr
        headers = {name.lower(): value for name, value in self.app.requests[-1].headers}
        assert f"URI={FRONT_ID}" in headers["x-forwarded-client-cert"]
        self.ticket = "TLS session ticket:" in done.stdout
        (line,) = [each for each in done.stdout.splitlines() if ", Cipher is " in each]
        return line.partition(",")[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    authority = Authority()
    front = authority.issue(FRONT).write(tmp_path_factory.mktemp("front"))
    port = free_port()
    with (
        App() as app,
        ours(configuration(port, app.port), authority.issue(BACK), workers=1) as proxy,
    ):
        yield Place(proxy, port, app, front, authority)


def configuration(port: int, app: int, **knobs: bool) -> str:
    return config(
        me("back"),
        plain(ingress=[(port, "HTTP", app)]),
        istio("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
        settings(accessLogFlush="20ms", **knobs),
    )


def test_off_unless_it_is_set(place: Place, tmp_path: Path) -> None:
    place.proxy.reload(place.text())
    session = tmp_path / "session"
    assert [place.ask("1_3", session) for _ in range(3)] == ["New"] * 3
    # OpenSSL goes by ids in TLS 1.2, whoever uses it from Python; but it gives no tickets.
    place.ask("1_2", tmp_path / "other")
    assert not place.ticket


@VERSIONS
def test_on(place: Place, version: str, tmp_path: Path) -> None:
    place.proxy.reload(place.text(tlsSessionTickets=True))
    session = tmp_path / "session"
    assert [place.ask(version, session) for _ in range(3)] == ["New", "Reused", "Reused"]
    assert place.ticket
    place.proxy.reload(place.text())
    assert place.ask(version, session) == "New"


@VERSIONS
def test_not_past_a_rotation(place: Place, version: str, tmp_path: Path) -> None:
    place.proxy.reload(place.text(tlsSessionTickets=True))
    session = tmp_path / "session"
    assert [place.ask(version, session) for _ in range(2)] == ["New", "Reused"]

    def updates() -> float:
        count = "meshproxy_certificate_updates_total"
        return place.proxy.metrics().value(count, result="accepted")

    before = updates()
    place.authority.issue(BACK).write(place.proxy.folder / "certs")
    wait_until(lambda: updates() > before, "the new certificate")
    assert place.ask(version, session) == "New"
