"""TLS that a Sidecar's ingress ends itself: curl and others call, from wherever."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.hop import FRONT, FRONT_ID, me, ours
from tests.support.namespaces import tool
from tests.support.peers import LOCAL, Peer, request, wait_until
from tests.support.pki import CERTIFICATE, CRL, KEY, ROOTS, Authority
from tests.support.servers import App, Server, echo_bytes
from tests.support.sidecar import Sidecar, config, free_port, istio, mesh_config, settings

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(tool("curl") is None, reason="not installed: curl"),
]

NAME = "shop.example"
CIPHER, OTHER_CIPHER = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
CASES = {
    "simple": {"mode": "SIMPLE"},
    "newest": {"mode": "SIMPLE", "minProtocolVersion": "TLSV1_3"},
    "oldest": {"mode": "SIMPLE", "maxProtocolVersion": "TLSV1_2"},
    "mutual": {"mode": "MUTUAL"},
    "optional": {"mode": "OPTIONAL_MUTUAL"},
    "tcp": {"mode": "SIMPLE"},
    "nowhere": {"mode": "SIMPLE", "serverCertificate": "/nowhere/cert.pem"},
}


@dataclass
class Place:
    """``clients``: folders of certificates by who they are; "" shows none."""

    proxy: Sidecar
    ports: Mapping[str, int]
    app: App
    echo: int
    clients: Mapping[str, Path]
    server: Path

    def curl(self, case: str, *arguments: str, client: str = "", plain: bool = False) -> str:
        """Status and version of HTTP, or what curl ended with."""
        port = self.ports[case]
        if client:
            folder = self.clients[client]
            arguments += ("--cert", str(folder / CERTIFICATE), "--key", str(folder / KEY))
        command = [
            *("curl", "--silent", "--output", os.devnull, "--max-time", "8"),
            *("--write-out", "%{http_code} %{http_version}"),
            *("--cacert", str(self.server / ROOTS), "--resolve", f"{NAME}:{port}:{LOCAL}"),
            *arguments,
            f"{'http' if plain else 'https'}://{NAME}:{port}/",
        ]
        # Without the system's configuration, which may forbid what is offered here.
        environment = {**os.environ, "OPENSSL_CONF": os.devnull}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)
        return done.stdout if not done.returncode else f"ended with {done.returncode}"

    @property
    def told(self) -> str | None:
        """What the app was told of its last caller's certificate."""
        headers = {name.lower(): value for name, value in self.app.requests[-1].headers}
        return headers.get("x-forwarded-client-cert")

    def refused(self, case: str, word: str) -> float:
        listener = f"{LOCAL}_{self.ports[case]}"
        count = "meshproxy_connections_refused_total"
        return self.proxy.metrics().value(count, listener=listener, reason=word)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("ingress")
    mesh, authority = Authority(), Authority("other.example")
    server = authority.issue("", dns=[NAME]).write(folder / "server")
    revoked = authority.issue("", dns=["gone.example"])
    (server / CRL).write_bytes(authority.revoke(revoked))
    clients = {
        "known": authority.issue("", dns=["c.example"]),
        "revoked": revoked,
        "somebody": authority.issue(FRONT_ID),
        "stranger": mesh.issue(FRONT),
    }
    folders = {name: leaf.write(folder / name) for name, leaf in clients.items()}
    ports = {case: free_port() for case in CASES}
    with App() as app, Server(echo_bytes) as echo:
        text = configuration(ports, server, app.port, echo.port)
        with ours(text, mesh.issue("default/back")) as proxy:
            yield Place(proxy, ports, app, echo.port, folders, server)


def configuration(
    ports: Mapping[str, int], server: Path, app: int, echo: int, **changed: Mapping[str, str]
) -> str:
    """Ports without the mesh's mutual TLS, so that their own counts."""
    off = {str(port): {"mode": "DISABLE"} for port in ports.values()}
    ingress = [
        _ingress(case, {**tls, **changed.get(case, {})}, ports[case], server, app, echo)
        for case, tls in CASES.items()
    ]
    strict = {"selector": {"matchLabels": {"app": "me"}}, "mtls": {"mode": "STRICT"}}
    return config(
        me("back"),
        mesh_config(tlsDefaults={"cipherSuites": [CIPHER]}),
        istio("PeerAuthentication", "me", {**strict, "portLevelMtls": off}),
        istio("Sidecar", "me", {"ingress": ingress}),
        settings(accessLogFlush="20ms"),
    )


def _ingress(
    case: str, said: Mapping[str, str], port: int, server: Path, app: int, echo: int
) -> dict[str, Any]:
    tls = {
        "serverCertificate": str(server / CERTIFICATE),
        "privateKey": str(server / KEY),
        **said,
    }
    protocol = "TLS" if case == "tcp" else "HTTPS"
    if "MUTUAL" in tls["mode"]:
        tls |= {"caCertificates": str(server / ROOTS), "caCrl": str(server / CRL)}
    return {
        "port": {"number": port, "name": case, "protocol": protocol},
        "bind": LOCAL,
        "captureMode": "NONE",
        "defaultEndpoint": f"{LOCAL}:{echo if case == 'tcp' else app}",
        "tls": tls,
    }


@pytest.mark.parametrize(
    ("case", "arguments", "got"),
    [
        ("simple", (), "200 2"),
        ("simple", ("--http1.1",), "200 1.1"),
        ("simple", ("--tls-max", "1.2"), "200 2"),
        ("newest", ("--http1.1",), "200 1.1"),
        ("newest", ("--tls-max", "1.2"), "ended with 35"),
        ("oldest", ("--http1.1",), "200 1.1"),
        ("oldest", ("--tlsv1.3",), "ended with 35"),
        ("simple", ("--tls-max", "1.2", "--ciphers", CIPHER), "200 2"),
        (
            "simple",
            ("--tls-max", "1.2", "--ciphers", OTHER_CIPHER),
            "ended with 35",
        ),
        ("optional", ("--http1.1",), "200 1.1"),
        ("nowhere", (), "ended with 35"),
    ],
)
def test_without_a_certificate(
    place: Place, case: str, arguments: tuple[str, ...], got: str
) -> None:
    assert place.curl(case, *arguments, "-H", "X-Forwarded-Client-Cert: Hash=forged") == got
    if got.startswith("200"):
        assert place.told is None


@pytest.mark.parametrize("case", ["mutual", "optional"])
@pytest.mark.parametrize(
    ("client", "uri", "dns"), [("known", "", ";DNS=c.example"), ("somebody", FRONT_ID, "")]
)
def test_with_a_certificate(place: Place, case: str, client: str, uri: str, dns: str) -> None:
    assert place.curl(case, "--http1.1", client=client) == "200 1.1"
    assert place.told is not None
    digest, _, rest = place.told.partition(";")
    assert digest.startswith("Hash=")
    assert rest == f'Subject="";URI={uri}{dns}'


@pytest.mark.parametrize("case", ["mutual", "optional"])
@pytest.mark.parametrize(("client", "word"), [("revoked", "revoked"), ("stranger", "unknown_ca")])
def test_with_a_certificate_that_is_refused(
    place: Place, case: str, client: str, word: str
) -> None:
    before = place.refused(case, word)
    assert place.curl(case, client=client).startswith("ended with ")
    wait_until(lambda: place.refused(case, word) == before + 1, word)


def test_a_caller_that_has_to_show_a_certificate(place: Place) -> None:
    assert place.curl("mutual").startswith("ended with ")
    wait_until(lambda: place.refused("mutual", "no_certificate") >= 1, "no_certificate")


def test_plaintext_does_not_enter(place: Place) -> None:
    assert place.curl("simple", plain=True) == "ended with 56"
    assert place.refused("simple", "plaintext") == 1


def test_opaque_bytes(place: Place) -> None:
    context = ssl.create_default_context(cafile=str(place.server / ROOTS))
    with (
        contextlib.closing(socket.create_connection((LOCAL, place.ports["tcp"]))) as raw,
        context.wrap_socket(raw, server_hostname=NAME) as peer,
    ):
        peer.sendall(b"\x00 anything")
        assert peer.recv(100) == b"\x00 anything"


def test_metrics_tell_who_was_secured(place: Place) -> None:
    """As Istio has it: mutual TLS is where a caller has shown a certificate."""
    place.curl("mutual", client="somebody")
    place.curl("simple")

    def policies() -> set[str]:
        samples = place.proxy.metrics().samples("istio_requests_total", reporter="destination")
        return {each.labels["connection_security_policy"] for each in samples}

    wait_until(lambda: policies() >= {"mutual_tls", "none"}, policies)
    samples = place.proxy.metrics().samples("istio_requests_total", source_principal=FRONT_ID)
    assert samples


def test_its_certificate_rotates(place: Place) -> None:
    """The server's own, while the sidecar runs; curl sees another issuer."""
    other = Authority("newer.example").issue("", dns=[NAME])
    roots = place.server / ROOTS
    kept = {name: (place.server / name).read_bytes() for name in (CERTIFICATE, KEY, ROOTS)}
    try:
        other.write(place.server)
        assert roots.read_bytes() == other.roots
        wait_until(lambda: place.curl("simple", "--http1.1") == "200 1.1", "the other certificate")
    finally:
        for name, text in kept.items():
            (place.server / name).write_bytes(text)
    wait_until(lambda: place.curl("simple", "--http1.1") == "200 1.1", "the other certificate")


def test_a_new_plan_ends_what_it_does_not_admit(place: Place) -> None:
    """Who has shown no certificate does not stay where one is now asked for; others do."""

    def text(**changed: Mapping[str, str]) -> str:
        return configuration(place.ports, place.server, place.app.port, place.echo, **changed)

    context = ssl.create_default_context(cafile=str(place.server / ROOTS))
    with ExitStack() as stack:
        peers = {}
        for case in ("simple", "newest"):
            peer = stack.enter_context(Peer.connect(place.ports[case]))
            peer.sock = context.wrap_socket(peer.sock, server_hostname=NAME)
            peer.send(request())
            assert peer.answer().status == 200
            peers[case] = peer
        try:
            place.proxy.reload(text(simple={"mode": "MUTUAL"}))
            assert peers["simple"].ending() in ("end", "reset")
            peers["newest"].send(request())
            assert peers["newest"].answer().status == 200
            assert place.curl("simple").startswith("ended with")
            assert place.curl("simple", "--http1.1", client="known") == "200 1.1"
        finally:
            place.proxy.reload(text())
