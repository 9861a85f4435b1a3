"""TLS that DestinationRules ask for, towards servers that know nothing of a mesh."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import Message, Peer, ask
from tests.support.pki import CERTIFICATE, KEY, ROOTS, Authority, Leaf
from tests.support.servers import App, answer
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    plain,
    service,
    settings,
    workload,
)

NAME = "bank.example"


class TlsApp(App):
    """The app behind TLS. ``asked`` are the names that clients asked for, ``clients`` whose
    certificates they showed."""

    def __init__(self, folder: Path, mutual: bool) -> None:
        self.asked: list[str | None] = []
        self.clients: list[Any] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
        self._context.sni_callback = lambda _, name, __: self.asked.append(name)
        if mutual:
            self._context.load_verify_locations(folder / ROOTS)
            self._context.verify_mode = ssl.CERT_REQUIRED
        super().__init__()

    def _serve(self, peer: Peer) -> None:
        try:
            sock = self._context.wrap_socket(peer.sock, server_side=True)
        except OSError:
            return  # whoever does not like us is looked at from the other side
        peer.sock = sock
        self.clients.append(sock.getpeercert())
        super()._serve(peer)

    def do_once(self, peer: Peer, head: Message, query: dict[str, str], at: int) -> bool:
        """As ``/``, and then the end."""
        peer.send(answer(200, b"once", "Connection: close\r\n"))
        return False


@dataclass(frozen=True)
class Place:
    """A service for each case, all on one port."""

    proxy: Sidecar
    port: int
    simple: TlsApp
    mutual: TlsApp
    authority: Authority
    rules: Mapping[str, Mapping[str, Any]]

    def ask(self, case: str) -> Message:
        """On a connection that nobody will use again."""
        return ask(self.port, "/once", host=case)

    def text(self, *more: dict[str, Any]) -> str:
        documents = [
            istio(
                "ServiceEntry",
                "pattern",
                {
                    "hosts": ["*.pattern.example"],
                    "ports": [{"number": self.port, "name": "http", "protocol": "HTTP"}],
                    "resolution": "STATIC",
                    "endpoints": [{"address": "127.0.0.1", "ports": {"http": self.simple.port}}],
                },
            ),
            istio(
                "DestinationRule",
                "pattern",
                {
                    "host": "*.pattern.example",
                    "trafficPolicy": {"tls": {"mode": "SIMPLE", "insecureSkipVerify": True}},
                },
            ),
        ]
        for name, tls in self.rules.items():
            app = self.mutual if tls["mode"] == "MUTUAL" else self.simple
            rule = {"host": name, "trafficPolicy": {"tls": dict(tls)}}
            documents += [
                service(name, self.port),
                workload(f"{name}-1", name, {"http": app.port}),
                istio("DestinationRule", name, rule),
            ]
        opened = plain([(self.port, "HTTP")])
        return config(me(), *documents, *more, opened, settings(accessLogFlush="20ms"))


def secret(name: str, leaf: Leaf) -> dict[str, Any]:
    parts = {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": leaf.roots}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "default"},
        "data": {key: base64.b64encode(value).decode() for key, value in parts.items()},
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    authority = Authority()
    server = authority.issue("", dns=[NAME]).write(tmp_path_factory.mktemp("server"))
    client = authority.issue("", dns=["shop.example"])
    files = client.write(tmp_path_factory.mktemp("client"))
    roots = {"caCertificates": str(files / ROOTS)}
    own = {"clientCertificate": str(files / CERTIFICATE), "privateKey": str(files / KEY)}
    rules = {
        "named": {"mode": "SIMPLE", "sni": NAME, **roots},
        "alternative": {"mode": "SIMPLE", "sni": "x", "subjectAltNames": [NAME], **roots},
        "misnamed": {"mode": "SIMPLE", "sni": "other.example", **roots},
        "stranger": {"mode": "SIMPLE", "sni": NAME, "subjectAltNames": ["other.example"], **roots},
        "system": {"mode": "SIMPLE", "sni": NAME},
        "unverified": {"mode": "SIMPLE", "sni": "other.example", "insecureSkipVerify": True},
        "files": {"mode": "MUTUAL", "sni": NAME, **roots, **own},
        "secret": {"mode": "MUTUAL", "sni": NAME, "credentialName": "client"},
        "nowhere": {"mode": "MUTUAL", "sni": NAME, "credentialName": "gone"},
        "nofile": {"mode": "SIMPLE", "sni": NAME, "caCertificates": str(files / "gone.pem")},
    }
    with TlsApp(server, False) as simple, TlsApp(server, True) as mutual:
        made = Place(None, free_port(), simple, mutual, authority, rules)  # type: ignore[arg-type]
        with Sidecar(made.text(secret("client", client))) as proxy:
            yield Place(proxy, made.port, simple, mutual, authority, rules)


@pytest.mark.parametrize("case", ["named", "alternative", "unverified"])
def test_a_server_that_is_right(place: Place, case: str) -> None:
    got = place.ask(case)
    assert got.status == 200, got.text
    assert place.simple.asked[-1] == place.rules[case]["sni"]
    assert not place.simple.clients[-1]


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ("misnamed", "not for the name that was asked for"),
        ("stranger", "other.example"),
        ("system", "certificate"),
        ("nowhere", "Secret default/gone"),
        ("nofile", "gone.pem"),
    ],
)
def test_what_is_wrong_is_answered_503_with_the_reason(place: Place, case: str, word: str) -> None:
    before = len(place.simple.requests)
    got = place.ask(case)
    assert got.status == 503
    assert word in got.text
    assert len(place.simple.requests) == before


@pytest.mark.parametrize("case", ["files", "secret"])
def test_our_own_certificate(place: Place, case: str) -> None:
    got = place.ask(case)
    assert got.status == 200, got.text
    assert place.mutual.clients[-1]["subjectAltName"] == (("DNS", "shop.example"),)


def test_each_host_of_a_pattern_is_asked_for_by_its_own_name(place: Place) -> None:
    """Connections are not shared between names: the certificate was for one of them."""
    asked = len(place.simple.asked)
    for host in ("a.pattern.example", "b.pattern.example", "a.pattern.example"):
        assert ask(place.port, host=host).status == 200
    names = place.simple.asked[asked:]
    assert sorted(map(str, names)) == ["a.pattern.example", "b.pattern.example"]


def test_no_key_is_shown(place: Place) -> None:
    """Neither as it is, nor as it stands in the Secret, anywhere that somebody can look."""
    place.ask("secret")
    text = place.proxy.config.read_text(encoding="utf-8")
    (encoded,) = {line.split()[1] for line in text.splitlines() if "tls.key:" in line}
    lines = base64.b64decode(encoded).decode().splitlines()[1:-1]
    shown = [
        place.proxy.get(place.proxy.admin, path).text
        for path in ("/config_dump", "/certs", "/clusters", "/listeners")
    ]
    for line in (encoded[:40], *lines):
        assert not any(line in each for each in (*shown, place.proxy.log, place.proxy.output))


def test_a_secret_that_comes_and_goes(place: Place) -> None:
    other = place.authority.issue("", dns=["another.example"])
    place.proxy.reload(place.text(secret("client", other)))
    assert place.ask("secret").status == 200
    assert place.mutual.clients[-1]["subjectAltName"] == (("DNS", "another.example"),)
    place.proxy.reload(place.text())
    got = place.ask("secret")
    assert (got.status, "Secret default/client" in got.text) == (503, True)
    place.proxy.reload(place.text(secret("client", other)))
    assert place.ask("secret").status == 200
