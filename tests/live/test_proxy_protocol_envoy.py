"""The PROXY protocol with a real Envoy: it takes ours, and ours takes its."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.envoy_tls import to_upstream
from tests.support import envoy, hop
from tests.support.envoy import EnvoyProcess
from tests.support.peers import LOCAL, Peer, wait_until
from tests.support.pki import Authority, Leaf
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

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(envoy.program() is None, reason="not installed: Envoy"),
]

CLIENT = "127.0.0.5"
VERSIONS = pytest.mark.parametrize("version", ["V1", "V2"])
_TYPES = "type.googleapis.com/envoy.extensions."


class Passing(EnvoyProcess):
    """Passes connections on to ``target``: ``takes`` a header from its callers, says one in
    version ``says``, and speaks the mesh's TLS behind it with a ``leaf``."""

    def __init__(
        self, target: int, *, takes: bool = False, says: str = "", leaf: Leaf | None = None
    ) -> None:
        super().__init__(free_port())
        self._log = self.folder / "connections"
        tls = None if leaf is None else _mesh(leaf, self.folder / "certs")
        listener: dict[str, Any] = {
            "name": "in",
            "address": _address(self.port),
            "filter_chains": [{"filters": [_proxy(self._log)]}],
        }
        if takes:
            kind = _TYPES + "filters.listener.proxy_protocol.v3.ProxyProtocol"
            listener["listener_filters"] = [
                {
                    "name": "envoy.filters.listener.proxy_protocol",
                    "typed_config": {"@type": kind},
                }
            ]
        cluster: dict[str, Any] = {
            "name": "out",
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {
                "cluster_name": "out",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(target)}}]}],
            },
        }
        if tls is not None:
            cluster["transport_socket"] = tls
        if says:
            cluster["transport_socket"] = _saying(says, tls)
        self.configure({"static_resources": {"listeners": [listener], "clusters": [cluster]}})

    def logged(self) -> list[dict[str, str]]:
        """Client and own end of each connection that has ended."""
        text = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": LOCAL, "port_value": port}}


def _proxy(log: Path) -> dict[str, Any]:
    form = {
        "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
        "direct": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
        "to": "%DOWNSTREAM_LOCAL_ADDRESS%",
    }
    file = {
        "@type": _TYPES + "access_loggers.file.v3.FileAccessLog",
        "path": str(log),
        "log_format": {"json_format": form},
    }
    proxy = {
        "@type": _TYPES + "filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "in",
        "cluster": "out",
        "access_log": [{"name": "file", "typed_config": file}],
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}


def _saying(version: str, inside: dict[str, Any] | None) -> dict[str, Any]:
    kind = "proxy_protocol.v3.ProxyProtocolUpstreamTransport"
    plain_text = {
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": {"@type": _TYPES + "transport_sockets.raw_buffer.v3.RawBuffer"},
    }
    return {
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typed_config": {
            "@type": _TYPES + "transport_sockets." + kind,
            "config": {"version": version},
            "transport_socket": inside or plain_text,
        },
    }


def _mesh(leaf: Leaf, folder: Path) -> dict[str, Any]:
    return to_upstream(leaf.write(folder), "http", "outbound_.80_._.app", [hop.BACK_ID])


# Ours says it.


@pytest.fixture
def port() -> int:
    return free_port()


def outbound(port: int, target: int, protocol: str, version: str) -> str:
    rule = {"host": "far", "trafficPolicy": {"proxyProtocol": {"version": version}}}
    return config(
        me(),
        service("far", port, protocol.lower()),
        workload("far-1", "far", {protocol.lower(): target}),
        istio("DestinationRule", "far", rule),
        plain([(port, protocol)]),
    )


@VERSIONS
@pytest.mark.parametrize("again", ["V1", "V2"])
def test_envoy_is_told_of_opaque_connections(port: int, version: str, again: str) -> None:
    """And passes it on as it has understood it."""
    heard: list[bytes] = []

    def behave(peer: Peer) -> None:
        if again == "V1":
            heard.append(peer.until(b"\r\n"))
        else:
            head = peer.exactly(16)
            heard.append(head + peer.exactly(int.from_bytes(head[14:16], "big")))
        peer.send(peer.exactly(5))

    with (
        Server(behave) as app,
        Passing(app.port, takes=True, says=again) as passing,
        Sidecar(outbound(port, passing.port, "TCP", version)),
        Peer.connect(port, source=CLIENT) as client,
    ):
        mine = client.sock.getsockname()[1]
        client.send(b"hello")
        assert client.exactly(5) == b"hello"
        if again == "V1":
            assert heard == [f"PROXY TCP4 {CLIENT} {LOCAL} {mine} {port}\r\n".encode()]
        else:
            ends = bytes((127, 0, 0, 5, 127, 0, 0, 1)) + mine.to_bytes(2) + port.to_bytes(2)
            assert heard[0][12:14] == b"\x21\x11"
            assert heard[0][16:28] == ends


@VERSIONS
def test_envoy_is_told_of_requests(port: int, version: str) -> None:
    """One connection to it for each of a client's."""
    with (
        App() as app,
        Passing(app.port, takes=True) as passing,
        Sidecar(outbound(port, passing.port, "HTTP", version)),
    ):
        with Peer.connect(port, source=CLIENT) as client:
            mine = client.sock.getsockname()[1]
            for _ in range(3):
                assert client.ask("/", host="far").status == 200
        (line,) = wait_until(passing.logged, "the connection to end")
        assert (line["client"], line["to"]) == (f"{CLIENT}:{mine}", f"{LOCAL}:{port}")
        assert line["direct"].startswith(f"{LOCAL}:")


# Envoy says it.


ACCESS = "%DOWNSTREAM_REMOTE_ADDRESS% from %DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %PROTOCOL%\n"


@pytest.fixture(scope="module")
def inbound() -> Iterator[tuple[Sidecar, dict[str, int], Authority]]:
    """Ports on which it is required, or may be missing; ``mutual`` takes the mesh's TLS alone."""
    ports = {name: free_port() for name in ("required", "optional", "tcp", "mutual")}
    authority = Authority()
    with App() as app, Server(echo_bytes) as echo:
        text = config(
            hop.me("back"),
            plain(
                ingress=[
                    (ports["required"], "HTTP", app.port),
                    (ports["optional"], "HTTP", app.port),
                    (ports["tcp"], "TCP", echo.port),
                    (ports["mutual"], "HTTP", app.port),
                ]
            ),
            istio(
                "PeerAuthentication",
                "me",
                {
                    "selector": {"matchLabels": {"app": "me"}},
                    "mtls": {"mode": "PERMISSIVE"},
                    "portLevelMtls": {ports["mutual"]: {"mode": "STRICT"}},
                },
            ),
            mesh_config(accessLogFormat=ACCESS),
            settings(
                accessLogFlush="20ms",
                proxyProtocol={
                    "required": [ports["required"], ports["tcp"], ports["mutual"]],
                    "optional": [ports["optional"]],
                    "trusted": [f"{LOCAL}/32"],
                },
            ),
        )
        with hop.ours(text, authority.issue(hop.BACK)) as proxy:
            yield proxy, ports, authority


@VERSIONS
@pytest.mark.parametrize("name", ["required", "optional", "mutual"])
def test_envoy_names_its_client(
    inbound: tuple[Sidecar, dict[str, int], Authority], version: str, name: str
) -> None:
    """Before TLS, where there is any."""
    proxy, ports, authority = inbound
    leaf = authority.issue(hop.FRONT) if name == "mutual" else None
    with (
        Passing(ports[name], says=version, leaf=leaf) as front,
        Peer.connect(front.port, source=CLIENT) as client,
    ):
        mine = client.sock.getsockname()[1]
        answer = client.ask("/")
        assert answer.status == 200
        told = {each.lower(): value for each, value in answer.seen.headers}
        assert (hop.FRONT_ID in told.get("x-forwarded-client-cert", "")) == (leaf is not None)
        assert proxy.access(f"{CLIENT}:{mine} from {LOCAL}:").endswith(" HTTP/1.1")


@VERSIONS
def test_opaque_connections_of_envoy(
    inbound: tuple[Sidecar, dict[str, int], Authority], version: str
) -> None:
    proxy, ports, _ = inbound
    data = os.urandom(100_000)
    with (
        Passing(ports["tcp"], says=version) as front,
        Peer.connect(front.port, source=CLIENT) as client,
    ):
        mine = client.sock.getsockname()[1]
        client.send(data)
        assert client.exactly(len(data)) == data
        client.end()
        assert client.rest() == b""
        proxy.access(f"{CLIENT}:{mine} from {LOCAL}:")


def test_envoy_that_says_nothing_of_it(
    inbound: tuple[Sidecar, dict[str, int], Authority],
) -> None:
    proxy, ports, _ = inbound
    name, labels = "meshproxy_connections_refused_total", {"reason": "proxy_protocol"}
    before = proxy.metrics().value(name, **labels)
    with Passing(ports["required"]) as front, Peer.connect(front.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
        assert client.ending() in ("reset", "end")
    wait_until(lambda: proxy.metrics().value(name, **labels) > before, "the refusal")
