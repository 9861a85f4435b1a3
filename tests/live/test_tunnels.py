"""Upgrades and CONNECT between HTTP/1.1 and HTTP/2, in all four pairings (RFC 8441)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import pytest

from tests.support.http2 import Http2App, Http2Client, Settings
from tests.support.peers import Ended, Peer, request, wait_until
from tests.support.servers import App
from tests.support.sidecar import (
    KINDS,
    Sidecar,
    Watch,
    config,
    free_port,
    istio,
    me,
    plain,
    service,
    settings,
    workload,
)

MIB = 1 << 20
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
CONNECT = "CONNECT"


class Tunnel:
    """A client's end. ``status`` is that of the answer, ``headers`` its fields in lower case."""

    status = 0
    headers: dict[str, str]

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError

    def exactly(self, count: int) -> bytes:
        raise NotImplementedError

    def rest(self) -> bytes:
        """All until the other side has ended; `Ended` if it breaks off."""
        raise NotImplementedError

    def reset(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OverHttp1(Tunnel):
    def __init__(self, port: int, host: str, path: str, token: str, **more: Any) -> None:
        self._peer = Peer.connect(port, **more)
        if token == CONNECT:
            self._peer.send(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")
        else:
            fields = [("Connection", "Upgrade"), ("Upgrade", token), ("Sec-WebSocket-Key", KEY)]
            self._peer.send(request("GET", path, host, fields))
        head = self._peer.head()
        self.status = head.status
        self.headers = {name.lower(): value for name, value in head.headers}

    def send(self, data: bytes) -> None:
        self._peer.send(data)

    def end(self) -> None:
        self._peer.end()

    def exactly(self, count: int) -> bytes:
        return self._peer.exactly(count)

    def rest(self) -> bytes:
        try:
            return self._peer.rest()
        except ConnectionError:
            raise Ended("reset") from None

    def reset(self) -> None:
        self._peer.reset()

    def close(self) -> None:
        self._peer.close()


class OverHttp2(Tunnel):
    """``greedy`` False: it does not open its windows."""

    def __init__(
        self, port: int, host: str, path: str, token: str, greedy: bool = True, **more: Any
    ) -> None:
        self.client = Http2Client(port, **more)
        conn = self.client.conn
        self.client.until(lambda: conn.remote_settings.enable_connect_protocol, "its leave")
        self.client.greedy = greedy
        lines = [(":method", CONNECT), (":authority", host)]
        if token == CONNECT:
            lines[1] = (":authority", f"{host}:{port}")
        else:
            lines += [(":protocol", token), (":scheme", "http"), (":path", path)]
            lines += [("sec-websocket-key", KEY)]
        self.number = self.client.raw(lines, end=False)
        self._stream = stream = self.client.streams[self.number]
        self.client.until(lambda: stream.headers or stream.reset is not None, "the answer")
        self.headers = dict(stream.headers)
        self.status = stream.status

    def send(self, data: bytes) -> None:
        self.client.data(self.number, data)

    def end(self) -> None:
        self.client.end(self.number)

    def exactly(self, count: int) -> bytes:
        stream = self._stream
        self.client.until(
            lambda: len(stream.body) >= count or stream.reset is not None, f"{count} bytes"
        )
        if stream.reset is not None:
            raise Ended("reset")
        found = bytes(stream.body[:count])
        del stream.body[:count]
        return found

    def rest(self) -> bytes:
        stream = self._stream
        self.client.until(lambda: stream.ended or stream.reset is not None, "the end")
        if stream.reset is not None:
            raise Ended("reset")
        return bytes(stream.body)

    def reset(self) -> None:
        self.client.cancel(self.number)

    def close(self) -> None:
        self.client.close()


Open = Callable[..., Tunnel]
AGREED = {OverHttp1: 101, OverHttp2: 200}


@dataclass(frozen=True)
class Place:
    """Service `old` speaks HTTP/1.1, `new` HTTP/2 with upgrades, `stubborn` HTTP/2 without.

    ``inbound`` leads to `old`'s app under a policy that lets in what is under /open, and CONNECT.
    """

    proxy: Sidecar
    old: App
    new: Http2App
    port: int
    inbound: int

    def memory(self) -> float:
        return max(self.proxy.pss().values())

    def app(self, host: str) -> App | Http2App:
        return self.old if host == "old" else self.new


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    codec, workers = request.param
    port, inbound = free_port(), free_port()
    takes = {Settings.ENABLE_CONNECT_PROTOCOL: 1}
    rules = [
        {"to": [{"operation": {"methods": ["GET"], "paths": ["/upgrade"]}}]},
        {"to": [{"operation": {"methods": ["CONNECT"]}}]},
    ]
    with App() as old, Http2App(takes) as new, Http2App() as stubborn:
        text = config(
            me(),
            service("old", port),
            service("new", port, "http2"),
            service("stubborn", port, "http2"),
            workload("old-1", "old", {"http": old.port}),
            workload("new-1", "new", {"http2": new.port}),
            workload("stubborn-1", "stubborn", {"http2": stubborn.port}),
            plain([(port, "HTTP")], [(inbound, "HTTP", old.port)]),
            istio("AuthorizationPolicy", "some", {"rules": rules}),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(text, codec=codec, workers=workers) as proxy:
            yield Place(proxy, old, new, port, inbound)


FROM = pytest.mark.parametrize("kind", [OverHttp1, OverHttp2], ids=["from 1", "from 2"])
TO = pytest.mark.parametrize("host", ["old", "new"])


def tunnel_path(host: str, query: str = "") -> str:
    return ("/upgrade" if host == "old" else "/tunnel") + query


@FROM
@TO
@pytest.mark.parametrize("token", ["websocket", "my-protocol/7"])
def test_bytes_both_ways(place: Place, kind: Open, host: str, token: str) -> None:
    with kind(place.port, host, tunnel_path(host), token) as tunnel:
        assert tunnel.status == AGREED[kind]  # type: ignore[index]
        assert tunnel.headers["x-chosen"] == "yes"
        if kind is OverHttp1:
            assert tunnel.headers["upgrade"] == token
            assert tunnel.headers["connection"].lower() == "upgrade"
        else:
            assert not {"upgrade", "connection"} & set(tunnel.headers)
        assert tunnel.exactly(6) == b"hello "
        tunnel.send(b"\x00\x01binary")
        assert tunnel.exactly(8) == b"\x00\x01binary"
        tunnel.end()
        assert tunnel.rest() == b"bye"


@FROM
@TO
def test_much_passes(place: Place, kind: Open, host: str) -> None:
    data = bytes(range(256)) * 8192
    with kind(place.port, host, tunnel_path(host), "websocket") as tunnel:
        assert tunnel.exactly(6) == b"hello "
        got = b""
        for at in range(0, len(data), 65_536):
            tunnel.send(data[at : at + 65_536])
            got += tunnel.exactly(65_536)
        assert got == data


@FROM
@TO
def test_the_app_may_end_first(place: Place, kind: Open, host: str) -> None:
    app = place.app(host)
    app.heard = b""
    with kind(place.port, host, tunnel_path(host, "?end"), "websocket") as tunnel:
        assert tunnel.rest() == b"hello "
        tunnel.send(b"still here")
        tunnel.end()
        wait_until(lambda: app.heard == b"still here", "the app to hear it")


@FROM
@TO
def test_a_client_that_breaks_off(place: Place, kind: Open, host: str) -> None:
    tunnel = kind(place.port, host, tunnel_path(host), "websocket")
    assert tunnel.exactly(6) == b"hello "
    before = len(place.new.resets) if host == "new" else place.old.cut_off
    tunnel.reset()
    if host == "new":
        wait_until(lambda: len(place.new.resets) > before, "the app's stream to be reset")
    else:
        wait_until(lambda: place.old.cut_off > before, "the app's connection to be reset")
    tunnel.close()


@FROM
@TO
def test_an_app_that_breaks_off(place: Place, kind: Open, host: str) -> None:
    with kind(place.port, host, "/break", "websocket") as tunnel:
        assert tunnel.status == AGREED[kind]  # type: ignore[index]
        tunnel.send(b"x")
        with pytest.raises(Ended):
            tunnel.rest()


def quiet(number: Callable[[], int], tunnel: Tunnel) -> int:
    """The value of a growing number once it has stopped growing."""
    value, since = -1, time.monotonic()
    while time.monotonic() - since < 0.5:
        if isinstance(tunnel, OverHttp2):
            tunnel.client.peer.sock.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                tunnel.client.pump()
        else:
            time.sleep(0.05)
        found = number()
        if found != value:
            value, since = found, time.monotonic()
    return value


@FROM
@TO
def test_a_client_that_does_not_read_stops_the_app(place: Place, kind: Open, host: str) -> None:
    app = place.app(host)
    before = app.sent
    more = {"greedy": False} if kind is OverHttp2 else {"receive_buffer": 65_536}
    path = "/flood" if host == "old" else "/endless"
    with (
        Watch(place.memory) as watch,
        kind(place.port, host, path, "websocket", **more) as tunnel,
    ):
        assert tunnel.status == AGREED[kind]  # type: ignore[index]
        assert quiet(lambda: app.sent - before, tunnel) < 24 * MIB
        tunnel.reset()
    assert watch.growth < 8192


@FROM
@TO
def test_it_is_logged_and_counted(place: Place, kind: Open, host: str) -> None:
    name, labels = "istio_requests_total", {"response_code": "101"}
    labels["destination_service"] = f"{host}.default.svc.cluster.local"
    before = place.proxy.metrics().value(name, **labels)
    path = tunnel_path(host, f"?logged-{kind.__name__}")
    with kind(place.port, host, path, "websocket") as tunnel:
        tunnel.send(b"12345")
        tunnel.end()
        assert tunnel.rest() == b"hello 12345bye"
    line = place.proxy.access(path)
    version = "HTTP/1.1" if kind is OverHttp1 else "HTTP/2"
    assert f'"GET {path} {version}" 101 - via_upstream ' in line
    assert " 5 14 " in line, "bytes received, bytes sent"
    wait_until(lambda: place.proxy.metrics().value(name, **labels) == before + 1, "the count")


@FROM
def test_an_app_that_refuses(place: Place, kind: Open) -> None:
    with kind(place.port, "old", "/status?code=403", "websocket") as tunnel:
        assert tunnel.status == 403
    with kind(place.port, "new", "/status?code=403", "websocket") as tunnel:
        assert tunnel.status == 403


def test_an_app_that_takes_no_notice(place: Place) -> None:
    """HTTP/1.1 tells a 200 from a 101; over HTTP/2 it would mean that there is a tunnel."""
    with OverHttp1(place.port, "old", "/?n", "websocket") as tunnel:
        assert tunnel.status == 200
    with OverHttp2(place.port, "old", "/?n", "websocket") as tunnel:
        assert tunnel.status == 502


def test_keys_are_made_and_answered_where_http2_has_none(place: Place) -> None:
    with OverHttp1(place.port, "new", "/tunnel", "websocket") as tunnel:
        assert tunnel.headers["sec-websocket-accept"] == ACCEPT


@FROM
def test_an_upstream_that_does_not_take_upgrades(place: Place, kind: Open) -> None:
    """Local, and clear: RFC 8441 section 3 forbids to try."""
    path = f"/tunnel?unasked-{kind.__name__}"
    with kind(place.port, "stubborn", path, "websocket") as tunnel:
        assert tunnel.status == 502
    assert " 502 UPE upgrade_failed " in place.proxy.access(path)


@FROM
@TO
def test_connect(place: Place, kind: Open, host: str) -> None:
    with kind(place.port, host, "", CONNECT) as tunnel:
        assert tunnel.status == 200
        assert not {"content-length", "transfer-encoding"} & set(tunnel.headers)
        greeting = b"" if host == "old" else b"hello "
        assert tunnel.exactly(len(greeting)) == greeting
        tunnel.send(b"\x16\x03\x01 opaque")
        assert tunnel.exactly(10) == b"\x16\x03\x01 opaque"
        tunnel.end()
        assert tunnel.rest() == (b"" if host == "old" else b"bye")


@FROM
def test_policies_see_a_get(place: Place, kind: Open) -> None:
    with kind(place.inbound, "app", "/upgrade", "websocket") as tunnel:
        assert tunnel.status == AGREED[kind]  # type: ignore[index]
    with kind(place.inbound, "app", "/flood", "websocket") as tunnel:
        assert tunnel.status == 403
    with kind(place.inbound, "app", "", CONNECT) as tunnel:
        assert tunnel.status == 200


def test_tunnels_share_a_connection_with_requests(place: Place) -> None:
    with OverHttp2(place.port, "new", "/tunnel", "websocket") as tunnel:
        assert tunnel.exactly(6) == b"hello "
        for _ in range(3):
            assert tunnel.client.ask(host="new").status == 200
        tunnel.send(b"meanwhile")
        assert tunnel.exactly(9) == b"meanwhile"


@pytest.mark.parametrize("protocol", ["h2c", "H2C", "a b", "x" * 100])
def test_protocols_that_are_refused(place: Place, protocol: str) -> None:
    """The app would take h2c for an upgrade of its connection, and requests would pass unseen."""
    before = len(place.old.requests)
    with Http2Client(place.port, checked=False) as client:
        lines = [
            (":method", CONNECT),
            (":protocol", protocol),
            (":scheme", "http"),
            (":authority", "old"),
            (":path", "/upgrade"),
        ]
        answer = client.answer(client.raw(lines, end=False))
        assert answer.status == 501 or answer.reset == 1
    assert len(place.old.requests) == before
