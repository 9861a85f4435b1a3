"""HTTP/1.1 and HTTP/2 in all four pairings, as rules have them: `h2UpgradePolicy` in MeshConfig
and DestinationRule, `useClientProtocol`, and the port's protocol. What is about one connection of
HTTP/1.1 ends there; all else arrives as it was sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.http2 import Http2App, Http2Client
from tests.support.peers import Message, Peer, request, wait_until
from tests.support.servers import App, Server
from tests.support.sidecar import (
    KINDS,
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


class EitherApp:
    """An app that speaks both versions on one port, told apart by their first bytes."""

    def __init__(self) -> None:
        self.one, self.two = App(), Http2App()
        self._server = Server(self._serve)
        self.port = self._server.port

    def _serve(self, peer: Peer) -> None:
        while (seen := peer.sock.recv(4, socket.MSG_PEEK)) and b"PRI ".startswith(seen):
            if len(seen) == 4:
                break
        app: App | Http2App = self.two if seen == b"PRI " else self.one
        app.peers.append(peer)
        app._serve(peer)

    def close(self) -> None:
        for each in (self._server, self.one, self.two):
            each.close()


@dataclass(frozen=True)
class Place:
    """Each service is the same app, under another rule.

    `plain` no rule; `up` a rule that upgrades; `not` one that does not; `as` as the client;
    `two` its port is HTTP/2; `asked` its port is HTTP/2, and as the client.
    """

    proxy: Sidecar
    app: EitherApp
    port: int


def rule(host: str, **http: Any) -> dict[str, Any]:
    policy = {"host": host, "trafficPolicy": {"connectionPool": {"http": http}}}
    return istio("DestinationRule", host, policy)


HOSTS = {"plain": "http", "up": "http", "not": "http", "as": "http", "two": "http2"}
HOSTS["asked"] = "http2"


def text_for(port: int, app: int, mesh: str) -> str:
    documents = [service(host, port, protocol) for host, protocol in HOSTS.items()]
    documents += [workload(f"{host}-1", host, {protocol: app}) for host, protocol in HOSTS.items()]
    return config(
        me(),
        *documents,
        rule("up", h2UpgradePolicy="UPGRADE"),
        rule("not", h2UpgradePolicy="DO_NOT_UPGRADE"),
        rule("as", useClientProtocol=True),
        rule("asked", useClientProtocol=True),
        mesh_config(h2UpgradePolicy=mesh),
        plain([(port, "HTTP")]),
        settings(accessLogFlush="20ms"),
    )


def run(codec: str, workers: int, mesh: str) -> Iterator[Place]:
    app = EitherApp()
    try:
        port = free_port()
        with Sidecar(text_for(port, app.port, mesh), codec=codec, workers=workers) as proxy:
            yield Place(proxy, app, port)
    finally:
        app.close()


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    yield from run(*request.param, "DO_NOT_UPGRADE")


@pytest.fixture(scope="module")
def upgrading() -> Iterator[Place]:
    yield from run("fast", 1, "UPGRADE")


@dataclass
class Got:
    """``version`` is what the app was spoken to in; ``fields`` it saw, in lower case."""

    version: int
    fields: list[tuple[str, str]]
    body: str
    trailers: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.fields if found == name]


def ask(place: Place, client: int, host: str, fields: Any = (), body: bytes = b"") -> Got:
    method = "POST" if body else "GET"
    told: Any
    if client == 1:
        with Peer.connect(place.port) as peer:
            answer: Message = peer.ask("/a?b=c", method, host=host, headers=fields, body=body)
            assert answer.status == 200, answer.text
            told = answer.json
    else:
        with Http2Client(place.port) as peer2:
            stream = peer2.ask(method, "/a?b=c", host, fields, body)
            assert stream.status == 200, stream.text
            told = stream.json
    seen = [(name.lower(), value) for name, value in told["headers"]]
    version = 2 if "stream" in told else 1
    if version == 1:
        assert told["line"] == f"{method} /a?b=c HTTP/1.1"
    return Got(version, seen, told["body"], [tuple(pair) for pair in told["trailers"]])


@pytest.mark.parametrize("client", [1, 2])
@pytest.mark.parametrize(
    ("host", "from_1", "from_2"),
    [
        ("plain", 1, 1),
        ("up", 2, 2),
        ("not", 1, 1),
        ("as", 1, 2),
        ("two", 2, 2),
        ("asked", 1, 2),
    ],
)
def test_which_http(place: Place, client: int, host: str, from_1: int, from_2: int) -> None:
    assert ask(place, client, host).version == (from_1 if client == 1 else from_2)


@pytest.mark.parametrize("client", [1, 2])
@pytest.mark.parametrize(
    ("host", "from_1", "from_2"),
    [("plain", 2, 2), ("up", 2, 2), ("not", 1, 1), ("as", 1, 2), ("two", 2, 2)],
)
def test_a_mesh_that_upgrades(
    upgrading: Place, client: int, host: str, from_1: int, from_2: int
) -> None:
    assert ask(upgrading, client, host).version == (from_1 if client == 1 else from_2)


PAIRS = pytest.mark.parametrize(
    ("client", "host"), [(1, "not"), (1, "up"), (2, "not"), (2, "up")], ids=["11", "12", "21", "22"]
)


@PAIRS
def test_authority_and_host(place: Place, client: int, host: str) -> None:
    got = ask(place, client, host)
    if host == "up":
        assert got.all(":authority") == [host]
        assert (got.all(":scheme"), got.all(":method")) == (["http"], ["GET"])
        assert got.all(":path") == ["/a?b=c"]
        assert got.all("host") == []
    else:
        assert got.all("host") == [host]
        assert not [name for name, _ in got.fields if name.startswith(":")]


@PAIRS
def test_cookies(place: Place, client: int, host: str) -> None:
    """HTTP/2 may cut them up (RFC 9113 8.2.3); they are one line again, whichever HTTP is next."""
    if client == 2:
        crumbs = [("cookie", "a=1"), ("x-between", "1"), ("cookie", "b=2"), ("cookie", "c")]
        assert ask(place, client, host, crumbs).all("cookie") == ["a=1; b=2; c"]
    else:
        assert ask(place, client, host, [("Cookie", "a=1; b=2")]).all("cookie") == ["a=1; b=2"]


@PAIRS
def test_repeated_fields_and_odd_values(place: Place, client: int, host: str) -> None:
    fields = [("x-many", "1"), ("x-many", "2"), ("x-empty", ""), ("x-comma", 'a, b;c="d"')]
    got = ask(place, client, host, fields)
    assert got.all("x-many") in (["1", "2"], ["1,2"])
    assert got.all("x-empty") == [""]
    assert got.all("x-comma") == ['a, b;c="d"']


@PAIRS
def test_te(place: Place, client: int, host: str) -> None:
    """Only ``trailers`` goes on, and only where HTTP/2 asks for it (RFC 9113 8.2.2)."""
    if client == 1:
        got = ask(place, 1, host, [("TE", "gzip;q=0.5, trailers"), ("Connection", "TE")])
    else:
        got = ask(place, 2, host, [("te", "trailers")])
    assert got.all("te") == (["trailers"] if host == "up" else [])


@pytest.mark.parametrize("host", ["not", "up"])
def test_fields_of_a_connection_end_here(place: Place, host: str) -> None:
    fields = [
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "gzip"),
    ]
    got = ask(place, 1, host, fields)
    names = {name for name, _ in got.fields}
    gone = {"connection", "x-hop", "keep-alive", "proxy-connection", "te", "transfer-encoding"}
    assert not gone & names


@PAIRS
def test_bodies(place: Place, client: int, host: str) -> None:
    got = ask(place, client, host, body=b"some bytes")
    assert got.body == "some bytes"
    # HTTP/2 tells no length beforehand, HTTP/1.1 has to.
    chunked = (client, host) == (2, "not")
    assert got.all("transfer-encoding") == (["chunked"] if chunked else [])
    assert got.all("content-length") == (["10"] if client == 1 else [])


@PAIRS
def test_trailers_both_ways(place: Place, client: int, host: str) -> None:
    path = "/chunked?of=ab,c" if host == "not" else "/trailers"
    if client == 1:
        with Peer.connect(place.port) as peer:
            head = request("POST", "/", host, [("Transfer-Encoding", "chunked")])
            peer.send(head + b"2\r\nab\r\n0\r\nX-Sum: 2\r\n\r\n")
            assert peer.answer().json["trailers"] in ([["X-Sum", "2"]], [["x-sum", "2"]])
            answer = peer.ask(path, host=host)
            assert "x-sum" in [name.lower() for name, _ in answer.trailers]
    else:
        with Http2Client(place.port) as client2:
            stream = client2.request("POST", "/", host, end=False)
            client2.data(stream, b"ab")
            client2.end(stream, [("x-sum", "2")])
            assert client2.answer(stream).json["trailers"] == [["x-sum", "2"]]
            assert "x-sum" in dict(client2.ask(path=path, host=host).trailers)


@pytest.mark.parametrize("client", [1, 2])
def test_an_answers_fields_of_a_connection_end_here(place: Place, client: int) -> None:
    names: set[str]
    if client == 1:
        with Peer.connect(place.port) as peer:
            headers = peer.ask("/fields", host="not").headers
            names = {name.lower() for name, _ in headers} - {"connection"}
    else:
        with Http2Client(place.port) as peer2:
            headers = peer2.ask(path="/fields", host="not").headers
            names = {name for name, _ in headers}
            assert "connection" not in names
    assert not {"x-hop", "keep-alive", "transfer-encoding", "upgrade"} & names
    cookies = [value for name, value in headers if name.lower() == "set-cookie"]
    assert cookies == ["a=1", "b=2"], "never one line (RFC 6265 section 3)"


def test_a_reload_changes_the_version(place: Place) -> None:
    """The next request goes on in the other one; nothing in flight is disturbed."""
    with Http2Client(place.port) as client:
        assert "stream" not in client.ask(path="/?before", host="plain").json
        place.proxy.reload(text_for(place.port, place.app.port, "UPGRADE"))
        wait_until(
            lambda: "stream" in client.ask(path="/?after", host="plain").json, "HTTP/2 to the app"
        )
    place.proxy.reload(text_for(place.port, place.app.port, "DO_NOT_UPGRADE"))
