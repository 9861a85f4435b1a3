"""The PROXY protocol with HAProxy, whose it is, on either side, and with nginx that takes it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from tests.support import nginx as support
from tests.support.hop import BACK, FRONT, FRONT_ID, Apps, ours
from tests.support.http2 import Http2Client
from tests.support.namespaces import tool
from tests.support.peers import LOCAL, Peer, ask, wait_until
from tests.support.pki import Authority
from tests.support.program import running
from tests.support.servers import App, Server, echo_bytes
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    mesh_config,
    plain,
    service,
    settings,
    workload,
)

HAPROXY = tool("haproxy") or ""
needs_haproxy = pytest.mark.skipif(not HAPROXY, reason="not installed: haproxy")
needs_nginx = pytest.mark.skipif(not support.NGINX, reason="not installed: nginx")
pytestmark = pytest.mark.peer

CLIENT = "127.0.0.5"
ACCESS = "%DOWNSTREAM_REMOTE_ADDRESS% from %DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %PROTOCOL%\n"

HAPROXY_CONF = """\
defaults
  mode {mode}
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind {address}:{port} {accept}
  default_backend out
backend out
  server s {address}:{target} {send}
"""
SERVER = """\
server {{
  listen {address}:{port} {listen};
  {tls}
  location / {{
    set $client "$proxy_protocol_addr:$proxy_protocol_port";
    return 200 "$client $proxy_protocol_server_port $connection";
  }}
}}
"""


@contextlib.contextmanager
def haproxy(target: int, *, send: str = "", accept: str = "", mode: str = "tcp") -> Iterator[int]:
    """Its port; it passes everything on to ``target``."""
    port = free_port()
    text = HAPROXY_CONF.format(
        mode=mode, address=LOCAL, port=port, target=target, send=send, accept=accept
    )
    files = {"haproxy.cfg": text}
    with running(lambda folder: [HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")], port, files):
        yield port


@contextlib.contextmanager
def nginx(listen: str, tls: str = "", **files: bytes) -> Iterator[int]:
    port = free_port()
    inside = SERVER.format(address=LOCAL, port=port, listen=listen, tls=tls)
    with support.nginx(inside, port, files):
        yield port


# Callers that say whose connection it is.


@pytest.fixture(scope="module")
def inbound() -> Iterator[tuple[Sidecar, dict[str, int]]]:
    """A sidecar with a port on which it is required, one on which it may be missing, and an opaque
    one."""
    ports = {name: free_port() for name in ("required", "optional", "tcp")}
    with App() as app, Server(echo_bytes) as echo:
        text = config(
            me(),
            plain(
                ingress=[
                    (ports["required"], "HTTP", app.port),
                    (ports["optional"], "HTTP", app.port),
                    (ports["tcp"], "TCP", echo.port),
                ]
            ),
            mesh_config(accessLogFormat=ACCESS),
            settings(
                accessLogFlush="20ms",
                detectLimit="500ms",
                proxyProtocol={
                    "required": [ports["required"], ports["tcp"]],
                    "optional": [ports["optional"]],
                    "trusted": ["127.0.0.1/32"],
                },
            ),
        )
        with Sidecar(text) as proxy:
            yield proxy, ports


SENDS = [
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl",
    "send-proxy-v2-ssl-cn",
]


@needs_haproxy
@pytest.mark.parametrize("send", SENDS)
@pytest.mark.parametrize("port", ["required", "optional"])
def test_haproxy_names_its_client(
    inbound: tuple[Sidecar, dict[str, int]], send: str, port: str
) -> None:
    proxy, ports = inbound
    with haproxy(ports[port], send=send) as front, Peer.connect(front, source=CLIENT) as client:
        mine = client.sock.getsockname()[1]
        assert client.ask("/").status == 200
        proxy.access(f"{CLIENT}:{mine} from {LOCAL}:")
        assert client.ask("/").status == 200
        wait_until(lambda: len(lines_of(proxy, f"{CLIENT}:{mine} ")) == 2, "the second request")


@needs_haproxy
def test_haproxy_checks_by_local(inbound: tuple[Sidecar, dict[str, int]]) -> None:
    """Its own checks say LOCAL; a server that is up is used."""
    proxy, ports = inbound
    send = "send-proxy-v2 check inter 50ms check-send-proxy"
    with haproxy(ports["required"], send=send, mode="http\n  option httpchk GET /check") as front:
        wait_until(lambda: any("HTTP" in line for line in proxy.access_lines()), "a check")
        assert ask(front).status == 200


@needs_haproxy
@pytest.mark.parametrize("send", SENDS[:2])
def test_opaque_connections_of_haproxy(inbound: tuple[Sidecar, dict[str, int]], send: str) -> None:
    proxy, ports = inbound
    data = os.urandom(100_000)
    with haproxy(ports["tcp"], send=send) as front, Peer.connect(front, source=CLIENT) as client:
        mine = client.sock.getsockname()[1]
        for piece in (data[:1000], data[1000:]):
            client.send(piece)
            assert client.exactly(len(piece)) == piece
        client.end()
        assert client.rest() == b""
        proxy.access(f"{CLIENT}:{mine} from {LOCAL}:")


@needs_haproxy
def test_haproxy_that_says_nothing_of_it(inbound: tuple[Sidecar, dict[str, int]]) -> None:
    proxy, ports = inbound
    with haproxy(ports["required"]) as front, Peer.connect(front) as client:
        before = refused(proxy)
        client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
        assert client.ending() in ("reset", "end")
        wait_until(lambda: refused(proxy) > before, "the refusal")
    proxy.wait_for_log("no PROXY protocol header")
    with haproxy(ports["optional"]) as front:
        assert ask(front).status == 200


def test_strangers(inbound: tuple[Sidecar, dict[str, int]]) -> None:
    proxy, ports = inbound
    before = refused(proxy, "proxy_protocol_untrusted")
    reset = contextlib.suppress(ConnectionResetError)  # perhaps before it is connected
    with reset, Peer.connect(ports["required"], source=CLIENT) as client:
        assert client.ending() == "reset"
    assert refused(proxy, "proxy_protocol_untrusted") == before + 1
    with Peer.connect(ports["optional"], source=CLIENT) as client:
        client.send("PROXY TCP4 10.9.9.9 10.1.1.1 1 2\r\nGET / HTTP/1.1\r\nHost: app\r\n\r\n")
        assert client.answer().status == 400
    assert not any("10.9.9.9" in line for line in proxy.access_lines())


@pytest.mark.parametrize("begun", [b"", b"PROXY TCP4 1.1.1", b"\r\n\r\n\x00\r\nQUIT\n\x21"])
def test_a_header_that_does_not_come(inbound: tuple[Sidecar, dict[str, int]], begun: bytes) -> None:
    proxy, ports = inbound
    before = refused(proxy)
    with Peer.connect(ports["required"]) as client:
        if begun:
            client.send(begun)
        assert client.ending() == "reset"
    assert refused(proxy) == before + 1


def lines_of(proxy: Sidecar, text: str) -> list[str]:
    return [line for line in proxy.access_lines() if text in line]


def refused(proxy: Sidecar, reason: str = "proxy_protocol") -> float:
    return proxy.metrics().value("meshproxy_connections_refused_total", reason=reason)


# Upstreams that are told.


@contextlib.contextmanager
def outbound(target: int, protocol: str, **policy: object) -> Iterator[tuple[Sidecar, int]]:
    port = free_port()
    text = config(
        me(),
        service("far", port, protocol.lower()),
        workload("far-1", "far", {protocol.lower(): target}),
        istio("DestinationRule", "far", {"host": "far", "trafficPolicy": policy}),
        plain([(port, protocol)]),
        settings(accessLogFlush="20ms"),
    )
    with Sidecar(text) as proxy:
        yield proxy, port


@needs_nginx
@pytest.mark.parametrize("version", ["V1", "V2"])
def test_nginx_is_told(version: str) -> None:
    with (
        nginx("proxy_protocol") as target,
        outbound(target, "HTTP", proxyProtocol={"version": version}) as (_, port),
        Peer.connect(port, source=CLIENT) as client,
        Peer.connect(port, source="127.0.0.6") as other,
    ):
        mine, theirs = (each.sock.getsockname()[1] for each in (client, other))
        first, *more = [client.ask("/", host="far").text for _ in range(3)]
        assert first.startswith(f"{CLIENT}:{mine} {port} ")
        assert more == [first, first], "one connection for all of them"
        assert other.ask("/", host="far").text.startswith(f"127.0.0.6:{theirs} {port} ")
        assert client.ask("/", host="far").text == first


@needs_nginx
@pytest.mark.parametrize("version", ["V1", "V2"])
def test_nginx_is_told_before_tls(version: str) -> None:
    authority = Authority()
    leaf = authority.issue(BACK)
    tls = "ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"
    files = {"cert.pem": leaf.certificate, "key.pem": leaf.key}
    policy = {"tls": {"mode": "SIMPLE", "insecureSkipVerify": True}}
    with (
        nginx("ssl proxy_protocol", tls, **files) as target,
        outbound(target, "HTTP", proxyProtocol={"version": version}, **policy) as (_, port),
        Peer.connect(port, source=CLIENT) as client,
    ):
        mine = client.sock.getsockname()[1]
        answer = client.ask("/", host="far")
        assert answer.text.startswith(f"{CLIENT}:{mine} {port} "), answer.text


@needs_haproxy
@pytest.mark.parametrize("version", ["V1", "V2"])
def test_haproxy_is_told_of_opaque_connections(version: str) -> None:
    """It passes on what it was told, in its own words: the client's address reaches the end."""
    heard: list[bytes] = []

    def behave(peer: Peer) -> None:
        heard.append(peer.until(b"\r\n"))
        peer.send(peer.exactly(5))

    with (
        Server(behave) as app,
        haproxy(app.port, accept="accept-proxy", send="send-proxy") as target,
        outbound(target, "TCP", proxyProtocol={"version": version}) as (_, port),
        Peer.connect(port, source=CLIENT) as client,
    ):
        mine = client.sock.getsockname()[1]
        client.send(b"hello")
        assert client.exactly(5) == b"hello"
        assert heard == [f"PROXY TCP4 {CLIENT} {LOCAL} {mine} {port}\r\n".encode()]


@needs_nginx
def test_connections_for_one_client_go_with_it() -> None:
    with (
        nginx("proxy_protocol") as target,
        outbound(target, "HTTP", proxyProtocol={}) as (proxy, port),
    ):
        for _ in range(30):
            assert ask(port, host="far").status == 200

        def active() -> int:
            found = proxy.get(proxy.admin, "/clusters").text.splitlines()
            return sum(int(line.rpartition("::")[2]) for line in found if "::cx_active::" in line)

        wait_until(lambda: active() == 0, lambda: f"{active()} connections to end")


# Both, with the mesh's mutual TLS behind it.


@pytest.mark.parametrize("version", ["V1", "V2"])
@pytest.mark.parametrize("protocol", ["http", "http2", "tcp"])
def test_between_two_sidecars(version: str, protocol: str) -> None:
    """The header names the app that calls, the certificate behind it the workload."""
    authority = Authority()
    out, into = free_port(), free_port()
    endpoint = workload("far-1", "far", {protocol: into})
    endpoint["spec"]["serviceAccount"] = "back"
    rule = {"tls": {"mode": "ISTIO_MUTUAL"}, "proxyProtocol": {"version": version}}
    caller = config(
        me(),
        service("far", out, protocol),
        endpoint,
        istio("DestinationRule", "far", {"host": "far", "trafficPolicy": rule}),
        plain([(out, protocol.upper())]),
    )
    form = ACCESS.replace("%PROTOCOL%", "%DOWNSTREAM_PEER_URI_SAN%")
    with Apps() as apps:
        called = config(
            me(),
            plain(ingress=[(into, protocol.upper(), apps.ports[protocol])]),
            istio("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
            mesh_config(accessLogFormat=form),
            settings(
                accessLogFlush="20ms",
                proxyProtocol={"required": [into], "trusted": [f"{LOCAL}/32"]},
            ),
        )
        with ours(called, authority.issue(BACK)) as far, ours(caller, authority.issue(FRONT)):
            assert call(out, protocol)
            line = far.access(f" from {LOCAL}:")
            assert line.endswith(FRONT_ID), line
            client, _, direct = line.partition(" from ")
            assert client.startswith(f"{LOCAL}:")
            assert client != direct.split()[0]


def call(port: int, protocol: str) -> bool:
    if protocol == "http2":
        with Http2Client(port) as client:
            return bool(client.answer(client.request("GET", "/", "far")).status == 200)
    with Peer.connect(port) as peer:
        if protocol == "http":
            return peer.ask("/", host="far").status == 200
        peer.send(b"\x00hello").end()
        return peer.rest() == b"\x00hello"
