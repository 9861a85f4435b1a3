"""Programs that everybody knows, on either side: curl as the client, nginx as the upstream."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.namespaces import tool
from tests.support.peers import LOCAL, Peer, ask, wait_until
from tests.support.servers import App, Server, echo_bytes
from tests.support.sidecar import (
    CODECS,
    Sidecar,
    config,
    free_port,
    me,
    plain,
    service,
    settings,
    workload,
)

pytestmark = pytest.mark.peer

CURL = tool("curl") or ""
NGINX = tool("nginx") or ""
needs_curl = pytest.mark.skipif(not CURL, reason="not installed: curl")
needs_nginx = pytest.mark.skipif(not NGINX, reason="not installed: nginx")


def curl(*arguments: str, text: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run it quietly; errors are shown, statuses of 400 and more are failures."""
    command = [CURL, "--silent", "--show-error", "--fail", "--max-time", "8", *arguments]
    return subprocess.run(command, input=text, capture_output=True, check=False, timeout=30)


NGINX_CONF = """\
{user}
daemon off;
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 5;
  gzip on;
  gzip_min_length 1;
  gzip_types text/plain;
  client_max_body_size 0;
  types {{ text/plain txt; }}
  server {{
    listen {address}:{port};
    root {folder}/root;
    location = /old {{ return 301 /new; }}
    location = /empty {{ return 204; }}
    location = /teapot {{ return 418 "short and stout"; }}
    location = /hang-up {{ return 444; }}
    location /up/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
    location /slow/ {{ alias {folder}/root/; limit_rate 200k; }}
  }}
}}
"""


@dataclass(frozen=True)
class Place:
    proxy: Sidecar
    port: int
    root: Path

    def url(self, path: str) -> str:
        return f"http://{LOCAL}:{self.port}{path}"


@pytest.fixture(scope="module", params=CODECS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """nginx behind a sidecar."""
    folder = tmp_path_factory.mktemp("nginx")
    root = folder / "root"
    (root / "up").mkdir(parents=True)
    (root / "hello.txt").write_text("hello from nginx\n", encoding="utf-8")
    (root / "large.bin").write_bytes(bytes(range(256)) * 40_000)
    server, port = free_port(), free_port()
    conf = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    values = {"user": user, "folder": folder, "address": LOCAL, "port": server}
    conf.write_text(NGINX_CONF.format(**values), encoding="utf-8")
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [NGINX, "-p", str(folder), "-c", str(conf)], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: process.poll() is not None or answers(server), "nginx")
        assert process.poll() is None, (folder / "output").read_text(encoding="utf-8")
        text = config(
            me(),
            service("web", port),
            workload("web-1", "web", {"http": server}),
            plain([(port, "HTTP")]),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(text, codec=request.param, workers=2) as proxy:
            yield Place(proxy, port, root)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def answers(port: int) -> bool:
    try:
        Peer.connect(port).close()
    except OSError:
        return False
    return True


# nginx.


@needs_nginx
def test_a_file_of_nginx(place: Place) -> None:
    answer = ask(place.port, "/hello.txt", host="web")
    assert answer.text == "hello from nginx\n"
    assert answer.get("server") == "envoy"
    assert answer.get("etag")
    assert answer.get("last-modified")


@needs_nginx
def test_a_large_file_of_nginx(place: Place) -> None:
    answer = ask(place.port, "/large.bin", host="web")
    expected = hashlib.sha256((place.root / "large.bin").read_bytes()).hexdigest()
    assert hashlib.sha256(answer.body).hexdigest() == expected


@needs_nginx
def test_chunks_of_nginx(place: Place) -> None:
    """Compressed on the fly, its length is not known before its end."""
    with Peer.connect(place.port) as client:
        for _ in range(3):
            answer = client.ask("/hello.txt", host="web", headers=[("Accept-Encoding", "gzip")])
            assert answer.get("content-encoding") == "gzip"
            assert answer.has("transfer-encoding", "chunked")
            assert answer.body[:2] == b"\x1f\x8b"


@needs_nginx
def test_nginx_that_closes_every_fifth_request(place: Place) -> None:
    """`keepalive_requests`: its `Connection: close` is its own business."""
    with Peer.connect(place.port) as client:
        for _ in range(23):
            answer = client.ask("/hello.txt", host="web")
            assert answer.status == 200
            assert not answer.has("connection", "close")


@needs_nginx
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/old", 301, None),
        ("/empty", 204, b""),
        ("/teapot", 418, b"short and stout"),
        ("/no", 404, None),
    ],
)
def test_statuses_of_nginx(place: Place, path: str, status: int, body: bytes | None) -> None:
    answer = ask(place.port, path, host="web")
    assert answer.status == status
    if body is not None:
        assert answer.body == body


@needs_nginx
def test_ranges_and_conditions_of_nginx(place: Place) -> None:
    with Peer.connect(place.port) as client:
        answer = client.ask("/hello.txt", host="web", headers=[("Range", "bytes=0-4")])
        assert (answer.status, answer.body) == (206, b"hello")
        etag = answer.get("etag") or ""
        answer = client.ask("/hello.txt", host="web", headers=[("If-None-Match", etag)])
        assert (answer.status, answer.body) == (304, b"")
        assert client.ask("/hello.txt", "HEAD", host="web").get("content-length") == "17"
        assert client.ask("/hello.txt", host="web").status == 200


@needs_nginx
def test_an_upload_to_nginx(place: Place) -> None:
    body = bytes(range(256)) * 8000
    answer = ask(place.port, "/up/file.bin", "PUT", host="web", body=body)
    assert answer.status == 201
    assert (place.root / "up" / "file.bin").read_bytes() == body
    assert ask(place.port, "/up/file.bin", "DELETE", host="web").status == 204


@needs_nginx
def test_nginx_that_hangs_up(place: Place) -> None:
    assert ask(place.port, "/hang-up", host="web").status == 503
    assert " 503 UC " in place.proxy.access("/hang-up")


@needs_nginx
@needs_curl
def test_curl_to_nginx(place: Place) -> None:
    done = curl("-H", "Host: web", place.url("/hello.txt"), place.url("/hello.txt"))
    assert done.stdout == b"hello from nginx\n" * 2, done.stderr


@needs_nginx
@needs_curl
def test_curl_in_parallel(place: Place) -> None:
    urls = [place.url("/hello.txt")] * 40
    done = curl("-H", "Host: web", "--parallel", "--parallel-max", "20", *urls)
    assert done.stdout == b"hello from nginx\n" * 40, done.stderr


# curl, with our own app behind.


@pytest.fixture(scope="module")
def app_port() -> Iterator[int]:
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            plain([(port, "HTTP")]),
        )
        with Sidecar(text, workers=2):
            yield port


@needs_curl
def test_curl_expects_100_before_a_large_body(app_port: int) -> None:
    done = curl(
        *("-H", "Host: app", "-H", "Expect: 100-continue", "-v", "--data-binary", "@-"),
        f"http://{LOCAL}:{app_port}/",
        text=b"x" * 2_000_000,
    )
    assert done.returncode == 0, done.stderr
    assert b"HTTP/1.1 100 Continue" in done.stderr


@needs_curl
def test_curl_uploads_in_chunks(app_port: int) -> None:
    done = curl(
        *("-H", "Host: app", "-H", "Transfer-Encoding: chunked", "-T", "-"),
        f"http://{LOCAL}:{app_port}/",
        text=b"chunk " * 50_000,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"chunk ") == 50_000


@needs_curl
def test_curl_of_http10(app_port: int) -> None:
    done = curl("--http1.0", "-H", "Host: app", f"http://{LOCAL}:{app_port}/chunked?of=a,b")
    assert done.stdout == b"ab", done.stderr


@needs_curl
def test_curl_with_prior_knowledge_of_http2(app_port: int) -> None:
    done = curl(
        *("--http2-prior-knowledge", "-H", "Host: app", "-w", " %{http_version}", "-d", "body"),
        f"http://{LOCAL}:{app_port}/",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b" 2")
    assert b'"body": "body"' in done.stdout


@needs_curl
def test_curl_uploads_over_http2(app_port: int) -> None:
    done = curl(
        *("--http2-prior-knowledge", "-H", "Host: app", "--data-binary", "@-"),
        f"http://{LOCAL}:{app_port}/sink",
        text=b"x" * 3_000_000,
    )
    assert done.stdout == b"3000000", done.stderr


@needs_curl
def test_curl_downloads_over_http2(app_port: int) -> None:
    done = curl(
        *("--http2-prior-knowledge", "-H", "Host: app"),
        f"http://{LOCAL}:{app_port}/bytes?n=10000000",
    )
    assert len(done.stdout) == 10_000_000, done.stderr


@needs_curl
def test_curl_through_an_opaque_port() -> None:
    """A telnet of sorts."""
    port = free_port()
    with Server(echo_bytes) as echo:
        text = config(
            me(),
            service("echo", port, "tcp"),
            workload("echo-1", "echo", {"tcp": echo.port}),
            plain([(port, "TCP")]),
        )
        with Sidecar(text):
            done = curl("--max-time", "2", f"telnet://{LOCAL}:{port}", text=b"over the wire\n")
            assert done.stdout == b"over the wire\n"
