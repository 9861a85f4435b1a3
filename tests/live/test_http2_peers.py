"""Programs that everybody knows, in HTTP/2: nghttp, h2load and curl in front, nginx behind."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.hop import me, ours
from tests.support.http2 import Http2Client
from tests.support.namespaces import tool
from tests.support.nginx import NGINX, Nginx, http2_server
from tests.support.peers import LOCAL, ask
from tests.support.pki import CERTIFICATE, KEY, ROOTS, Authority
from tests.support.sidecar import (
    CODECS,
    Sidecar,
    config,
    free_port,
    istio,
    plain,
    service,
    workload,
)

NGHTTP, H2LOAD, CURL = (tool(name) or "" for name in ("nghttp", "h2load", "curl"))
NAME = "shop.example"
LARGE = bytes(range(256)) * 40_000

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not NGINX, reason="not installed: nginx"),
]
needs_nghttp = pytest.mark.skipif(not NGHTTP, reason="not installed: nghttp")
needs_h2load = pytest.mark.skipif(not H2LOAD, reason="not installed: h2load")
needs_curl = pytest.mark.skipif(not CURL, reason="not installed: curl")


@dataclass(frozen=True)
class Place:
    """Service ``far`` is nginx in TLS, ``near`` nginx in cleartext. Behind ``ingress``, a port that
    ends TLS, it is asked in HTTP/1, as Istio has it for an HTTPS port."""

    proxy: Sidecar
    far: Nginx
    near: Nginx
    port: int
    ingress: int

    def url(self, kind: str, path: str = "/") -> str:
        if kind == "ingress":
            return f"https://{LOCAL}:{self.ingress}{path}"
        return f"http://{LOCAL}:{self.port}{path}"

    def said(self, kind: str) -> str:
        """What nginx says first."""
        return f"HTTP/1.1 {kind}" if kind == "ingress" else f"HTTP/2.0 {kind}"

    def nginx(self, kind: str) -> Nginx:
        return self.far if kind == "far" else self.near


KINDS = pytest.mark.parametrize("kind", ["far", "near", "ingress"])
BEHIND = pytest.mark.parametrize("host", ["far", "near"])


@pytest.fixture(scope="module", params=CODECS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    authority = Authority()
    leaf = authority.issue("", dns=[NAME])
    certs = leaf.write(tmp_path_factory.mktemp("certs"))
    port, ingress = free_port(), free_port()
    with (
        http2_server(leaf, large_bin=LARGE) as far,
        http2_server(large_bin=LARGE) as near,
    ):
        tls = {"mode": "SIMPLE", "sni": NAME, "caCertificates": str(certs / ROOTS)}
        opened = plain([(port, "HTTP2")], [(ingress, "HTTPS", near.http1)])
        opened["spec"]["ingress"][0]["tls"] = {
            "mode": "SIMPLE",
            "serverCertificate": str(certs / CERTIFICATE),
            "privateKey": str(certs / KEY),
        }
        mode = {"selector": {"matchLabels": {"app": "me"}}, "mtls": {"mode": "DISABLE"}}
        text = config(
            me("back"),
            service("far", port, "http2"),
            service("near", port, "http2"),
            workload("far-1", "far", {"http2": far.port}),
            workload("near-1", "near", {"http2": near.port}),
            istio("DestinationRule", "far", {"host": "far", "trafficPolicy": {"tls": tls}}),
            istio("PeerAuthentication", "me", mode),
            opened,
        )
        with ours(text, authority.issue("default/back"), codec=request.param) as proxy:
            yield Place(proxy, far, near, port, ingress)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode()


# nginx behind us.


@BEHIND
def test_nginx_is_asked_in_http2(place: Place, host: str) -> None:
    name = NAME if host == "far" else ""
    with Http2Client(place.port) as client:
        answer = client.ask(path="/", host=host)
        assert answer.text.startswith(f"HTTP/2.0 {host} {name} ")
        assert answer.get("server") == "envoy"
    told = ask(place.port, "/", host=host).text
    assert told.startswith(f"HTTP/2.0 {host} {name} "), "whatever its client speaks"


@BEHIND
def test_large_files_of_nginx(place: Place, host: str) -> None:
    with Http2Client(place.port) as client:
        assert client.ask(path="/large.bin", host=host).body == LARGE
    assert ask(place.port, "/large.bin", host=host).body == LARGE


@BEHIND
@pytest.mark.parametrize("size", [1, 65_536, 3_000_000])
def test_an_upload_to_nginx(place: Place, host: str, size: int) -> None:
    body, path = LARGE[:size], f"/up/{host}-{size}"
    with Http2Client(place.port) as client:
        assert client.ask("PUT", path, host, body=body).status == 201
        assert (place.nginx(host).folder / path.lstrip("/")).read_bytes() == body
        assert client.ask("DELETE", path, host).status == 204


@BEHIND
def test_more_streams_than_nginx_takes(place: Place, host: str) -> None:
    """The bound is nginx's, and no reason to fail."""
    with Http2Client(place.port) as client:
        streams = [client.request(path="/", host=host) for _ in range(60)]
        assert [client.answer(each).status for each in streams] == [200] * 60


@BEHIND
def test_nginx_that_goes_away_after_some_requests(place: Place, host: str) -> None:
    """Its GOAWAY costs no request, also where many are in flight."""
    seen = set()
    with Http2Client(place.port) as client:
        for _ in range(20):
            streams = [client.request(path="/", host=host) for _ in range(8)]
            for each in streams:
                answer = client.answer(each)
                assert answer.status == 200, answer.text
                seen.add(answer.text.split()[-1])
    assert 160 / 50 <= len(seen) < 160, "connections were used again, and given up"


# Clients of HTTP/2 in front of us, in cleartext and in TLS.


@needs_nghttp
@KINDS
def test_nghttp(place: Place, kind: str) -> None:
    """Many at once, with priorities, which it sends and nobody acts on."""
    authority = f":authority: {kind}"
    told = run(NGHTTP, "-y", "-m", "20", "-H", authority, place.url(kind))
    assert told.count(place.said(kind)) == 20


@needs_nghttp
@KINDS
def test_nghttp_in_small_windows(place: Place, kind: str) -> None:
    """Windows of 1 KiB, padded frames, and an answer that is a lot larger."""
    command = [NGHTTP, "-y", "-w", "10", "-W", "10", "-b", "100", "-H", f":authority: {kind}"]
    done = subprocess.run(
        [*command, place.url(kind, "/large.bin")], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(LARGE).digest()


@needs_nghttp
@KINDS
def test_nghttp_uploads(place: Place, kind: str, tmp_path: Path) -> None:
    body, path = tmp_path / "body", f"/up/nghttp-{kind}"
    body.write_bytes(LARGE[:2_000_000])
    command = [NGHTTP, "-y", "-H", f":authority: {kind}", "-H", ":method: PUT", "-d", str(body)]
    run(*command, place.url(kind, path))
    assert (place.nginx(kind).folder / path.lstrip("/")).read_bytes() == LARGE[:2_000_000]


@needs_h2load
@KINDS
def test_h2load(place: Place, kind: str) -> None:
    """Many streams on several connections, and a GOAWAY of nginx now and then."""
    command = [H2LOAD, "-n", "400", "-c", "4", "-m", "16", "-H", f":authority: {kind}"]
    told = run(*command, place.url(kind))
    assert "400 done, 400 succeeded, 0 failed, 0 errored, 0 timeout" in told
    assert "status codes: 400 2xx" in told
    protocol = "h2" if kind == "ingress" else "h2c"
    assert re.search(rf"Application protocol: {protocol}\b", told), told


@needs_curl
@KINDS
def test_curl(place: Place, kind: str) -> None:
    how = "--http2" if kind == "ingress" else "--http2-prior-knowledge"
    more = ["-H", f"Host: {kind}", "-w", " %{http_version}\n"]
    # curl 7.88 fails where it uses a connection in cleartext again, whoever the server is.
    urls = [place.url(kind)] * (3 if kind == "ingress" else 1)
    lines = run(CURL, "-sS", "--fail", "-k", how, *more, *urls).splitlines()
    assert len(lines) == len(urls)
    for line in lines:
        assert line.startswith(place.said(kind))
        assert line.endswith(" 2")
