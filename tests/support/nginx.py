"""nginx as a peer; and as an HTTP/2 server, in cleartext by prior knowledge or in TLS by ALPN."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.namespaces import tool
from tests.support.peers import LOCAL, wait_until
from tests.support.pki import Leaf
from tests.support.program import running
from tests.support.sidecar import free_port

NGINX = tool("nginx") or ""

_CONF = """\
USER
daemon off;
master_process off;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  INSIDE
}
"""
_HTTP2 = """\
client_max_body_size 0;
http2_max_concurrent_streams 16;
keepalive_requests 50;
server {{
  listen {address}:{port} {listen};
  listen {address}:{http1};
  {tls}
  root {{folder}};
  location = / {{ return 200 "$server_protocol $http_host $ssl_server_name $connection"; }}
  location /up/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
}}
"""
_TLS = "ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"


@dataclass(frozen=True)
class Nginx:
    """``/`` says how it was asked, other paths are files in ``folder``; ``pid`` is all of it.

    It takes 16 streams at a time, and says GOAWAY after 50 requests. ``http1`` is a port for
    HTTP/1 in cleartext."""

    port: int
    http1: int
    folder: Path
    pid: int


@contextlib.contextmanager
def nginx(inside: str, port: int, files: Mapping[str, bytes | str] | None = None) -> Iterator[Path]:
    """Runs with ``inside`` as its configuration of HTTP, which listens on ``port``; its folder.
    There ``{folder}`` stands for the folder, in which ``files`` are put by name."""
    user = "user root;" if os.geteuid() == 0 else ""
    text = _CONF.replace("USER", user).replace("INSIDE", inside)
    with running(
        lambda folder: [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")],
        port,
        {"nginx.conf": text, **(files or {})},
    ) as folder:
        yield folder


@contextlib.contextmanager
def http2_server(leaf: Leaf | None = None, **files: bytes) -> Iterator[Nginx]:
    """With a ``leaf`` it speaks TLS. ``files`` by name, with ``_`` for the dot."""
    port, http1 = free_port(), free_port()
    found: dict[str, bytes | str] = {
        name.replace("_", "."): content for name, content in files.items()
    }
    listen, tls = "http2", ""
    if leaf is not None:
        listen, tls = "ssl http2", _TLS
        found |= {"cert.pem": leaf.certificate, "key.pem": leaf.key}
    values = {"address": LOCAL, "port": port, "http1": http1}
    with nginx(_HTTP2.format(**values, listen=listen, tls=tls), port, found) as folder:
        pid = wait_until((folder / "nginx.pid").read_text, "nginx's process id")
        yield Nginx(port, http1, folder, int(pid))
