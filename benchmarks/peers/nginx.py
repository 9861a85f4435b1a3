"""nginx as a proxy: a reference for what forwarding alone costs in C."""

from __future__ import annotations

from benchmarks.machine.tools import find, version
from benchmarks.peers.nginx_files import nginx_command
from benchmarks.peers.peer import Launch, Peer, Place


def nginx() -> Peer:
    return Peer(
        "nginx",
        "reference: weighted upstream 9:1, next upstream on errors; no log, no metrics",
        _prepare,
        lambda: version("nginx", find("nginx")),
    )


def _prepare(place: Place) -> Launch:
    program = find("nginx")
    port = place.ports.take()
    v1, v2 = place.upstreams
    http = f"""\
upstream inv {{
  server 127.0.0.1:{v1} weight=9;
  server 127.0.0.1:{v2} weight=1;
  keepalive 64;
  keepalive_requests 1000000000;
}}
server {{
  listen 127.0.0.1:{port};
  location / {{
    proxy_pass http://inv;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_next_upstream error timeout http_503;
    proxy_next_upstream_tries 3;
  }}
}}
"""
    return Launch(nginx_command(program, place.folder, place.workers, http), port)
