"""HAProxy: a reference for what forwarding alone costs in C."""

from __future__ import annotations

from benchmarks.machine.tools import find, version
from benchmarks.peers.peer import Launch, Peer, Place


def haproxy() -> Peer:
    return Peer(
        "haproxy",
        "reference: weighted servers 90:10, retries; no log, no metrics",
        _prepare,
        lambda: version("haproxy", find("haproxy")),
    )


def _prepare(place: Place) -> Launch:
    program = find("haproxy")
    port = place.ports.take()
    v1, v2 = place.upstreams
    file = place.folder / "haproxy.cfg"
    file.write_text(f"""\
global
  nbthread {place.workers}
  maxconn 4096
defaults
  mode http
  timeout connect 10s
  timeout client 600s
  timeout server 600s
  retries 2
  retry-on conn-failure 503
  option redispatch 1
frontend in
  bind 127.0.0.1:{port}
  default_backend inv
backend inv
  balance roundrobin
  http-reuse always
  server v1 127.0.0.1:{v1} weight 90
  server v2 127.0.0.1:{v2} weight 10
""")
    return Launch([program, "-db", "-f", str(file)], port)
