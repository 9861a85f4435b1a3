"""Cleartext HTTP/2 by prior knowledge: on either side, with HTTP/1.1 or HTTP/2 on the other."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import h2.exceptions
import pytest

from tests.support.http2 import Http2App, Http2Client, Settings, Stream
from tests.support.peers import Ended, Peer, ask, kernel_buffers, request, wait_until
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
    route_to,
    service,
    settings,
    virtual_service,
    workload,
)

MIB = 1 << 20


@dataclass(frozen=True)
class Place:
    """Service `old` speaks HTTP/1.1, `new` HTTP/2; both on one port. ``inbound`` is to `new`."""

    proxy: Sidecar
    old: App
    new: Http2App
    port: int
    inbound: int

    def client(self, **more: object) -> Http2Client:
        return Http2Client(self.port, **more)  # type: ignore[arg-type]

    def memory(self) -> float:
        return max(self.proxy.pss().values())


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    codec, workers = request.param
    port, inbound = free_port(), free_port()
    with App() as old, Http2App() as new:
        text = config(
            me(),
            service("old", port),
            service("new", port, "http2"),
            service("empty", port, "http2"),
            service("closed", port, "http2"),
            service("timed", port, "http2"),
            workload("old-1", "old", {"http": old.port}),
            workload("new-1", "new", {"http2": new.port}),
            workload("timed-1", "timed", {"http2": new.port}),
            workload("closed-1", "closed", {"http2": free_port()}),
            virtual_service("timed", {"timeout": "200ms", "route": [route_to("timed")]}),
            plain([(port, "HTTP")], [(inbound, "HTTP2", new.port)]),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(text, codec=codec, workers=workers) as proxy:
            yield Place(proxy, old, new, port, inbound)


BOTH = pytest.mark.parametrize("host", ["old", "new"])


# Requests and answers.


@BOTH
def test_many_requests_on_one_connection(place: Place, host: str) -> None:
    with place.client() as client:
        for at in range(20):
            answer = client.ask(path=f"/?{at}", host=host)
            assert answer.status == 200


@BOTH
def test_many_streams_at_once(place: Place, host: str) -> None:
    with place.client() as client:
        streams = [client.request(path=f"/?{at}", host=host) for at in range(50)]
        for at, stream in enumerate(streams):
            answer = client.answer(stream)
            assert f"/?{at}" in answer.text


def test_streams_share_an_upstream_connection(place: Place) -> None:
    before = place.new.accepted
    with place.client() as client:
        streams = [client.request(host="new") for _ in range(20)]
        connections = {client.answer(stream).json["connection"] for stream in streams}
    assert len(connections) <= place.proxy.workers_wanted
    assert place.new.accepted - before <= place.proxy.workers_wanted


def test_streams_overtake_each_other(place: Place) -> None:
    place.old.released.clear()
    with place.client() as client:
        held = client.request(path="/hold", host="old")
        wait_until(lambda: place.old.count("/hold"), "the request to reach the app")
        assert client.ask(host="old").status == 200
        place.old.released.set()
        assert client.answer(held).text == "released app"


def seen(answer: Stream) -> dict[str, str]:
    """The request's headers as the app got them, in lower case."""
    return {name.lower(): value for name, value in answer.json["headers"]}


@BOTH
def test_headers_both_ways(place: Place, host: str) -> None:
    with place.client() as client:
        answer = client.ask(host=host, headers=[("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2")])
        fields = seen(answer)
        assert fields["x-a"] == "1"
        assert fields["x-request-id"]
        assert fields["x-forwarded-proto"] == "http"
        assert fields["x-envoy-attempt-count"] == "1"
        cookies = [v for name, v in answer.json["headers"] if name.lower() == "cookie"]
        assert "; ".join(cookies) == "a=1; b=2"
        assert answer.get("server") == "envoy"
        assert answer.get("x-envoy-upstream-service-time") is not None
        assert answer.get("date") is not None
        assert all(name == name.lower() for name, _ in answer.headers)
        assert answer.get("connection") is None
        assert answer.get("transfer-encoding") is None


def test_the_authority_becomes_host(place: Place) -> None:
    with place.client() as client:
        answer = client.ask(host="old.default")
        hosts = [v for name, v in answer.json["headers"] if name.lower() == "host"]
        assert hosts == ["old.default"]


def test_te_trailers_is_passed_on(place: Place) -> None:
    """gRPC servers ask for it."""
    with place.client() as client:
        assert seen(client.ask(host="new", headers=[("te", "trailers")]))["te"] == "trailers"


@BOTH
@pytest.mark.parametrize("size", [1, 16_384, 1_000_000])
@pytest.mark.parametrize("declared", [True, False])
def test_request_bodies(place: Place, host: str, size: int, declared: bool) -> None:
    body = bytes(at % 251 for at in range(size))
    headers = [("content-length", str(size))] if declared else []
    with place.client() as client:
        answer = client.ask("POST", host=host, headers=headers, body=body)
        assert answer.json["body"].encode("latin-1") == body


@BOTH
def test_empty_frames_are_no_end(place: Place, host: str) -> None:
    """In front, in the middle, and as the end: the body is what the others hold."""
    with place.client() as client:
        for _ in range(3):
            stream = client.request("POST", host=host, end=False)
            for piece in (b"", b"one", b"", b"two", b""):
                client.conn.send_data(stream, piece)
                client.flush()
                time.sleep(0.01)
            client.end(stream)
            answer = client.answer(stream)
            assert answer.status == 200
            assert answer.json["body"] == "onetwo"


@BOTH
def test_a_body_that_is_empty_after_all(place: Place, host: str) -> None:
    with place.client() as client:
        for _ in range(3):
            stream = client.request("POST", host=host, end=False)
            client.end(stream)
            answer = client.answer(stream)
            assert (answer.status, answer.json["body"]) == (200, "")


@BOTH
def test_request_trailers(place: Place, host: str) -> None:
    with place.client() as client:
        stream = client.request("POST", host=host, end=False)
        client.data(stream, b"ab")
        client.end(stream, [("x-sum", "2")])
        answer = client.answer(stream)
        assert answer.json["body"] == "ab"
        assert [tuple(pair) for pair in answer.json["trailers"]] == [("x-sum", "2")]


def test_answer_trailers_of_http1(place: Place) -> None:
    with place.client() as client:
        answer = client.ask(path="/chunked?of=one,two", host="old")
        assert answer.text == "onetwo"
        assert ("x-sum", "6") in answer.trailers


def test_answer_trailers_of_http2(place: Place) -> None:
    with place.client() as client:
        answer = client.ask(path="/trailers", host="new")
        assert answer.text == "body"
        assert answer.trailers == [("grpc-status", "0"), ("x-sum", "4")]


@BOTH
def test_head_204_and_304(place: Place, host: str) -> None:
    with place.client() as client:
        assert client.ask("HEAD", "/status?code=200&length=0", host=host).body == b""
        for code in (204, 304):
            answer = client.ask(path=f"/status?code={code}", host=host)
            assert (answer.status, bytes(answer.body), answer.ended) == (code, b"", True)


@BOTH
def test_interim_answers(place: Place, host: str) -> None:
    with place.client() as client:
        answer = client.ask(path="/hints", host=host)
        assert answer.status == 200
        assert "103" in [each[":status"] for each in answer.interim]


def test_expect_100_continue(place: Place) -> None:
    with place.client() as client:
        headers = [("expect", "100-continue"), ("content-length", "4")]
        stream = client.request("POST", host="old", headers=headers, end=False)
        client.until(lambda: client.streams[stream].interim, "100")
        assert client.streams[stream].interim[0][":status"] == "100"
        client.data(stream, b"body", end=True)
        assert client.answer(stream).json["body"] == "body"


# An HTTP/1.1 client in front of an HTTP/2 app.


def test_http1_in_front_of_http2(place: Place) -> None:
    answer = ask(place.port, "/", "POST", host="new", headers=[("X-CaSe", "1")], body=b"abc")
    assert answer.status == 200
    assert answer.json["body"] == "abc"
    fields = dict(answer.json["headers"])
    assert fields[":authority"] == "new"
    assert fields["x-case"] == "1"
    assert "host" not in fields
    assert "connection" not in fields


def test_http1_chunks_and_trailers_in_front_of_http2(place: Place) -> None:
    text = request("POST", "/", "new", [("Transfer-Encoding", "chunked")])
    with Peer.connect(place.port) as client:
        client.send(text + b"2\r\nab\r\n0\r\nX-Sum: 2\r\n\r\n")
        answer = client.answer()
        assert answer.json["body"] == "ab"
        assert [tuple(pair) for pair in answer.json["trailers"]] == [("x-sum", "2")]
        answer = client.ask("/trailers", host="new")
        assert answer.body == b"body"
        assert ("x-sum", "4") in answer.trailers


@pytest.mark.parametrize("path", ["/empty", "/empty?frame", "/status?code=200", "/status?code=404"])
def test_http1_gets_the_end_of_an_empty_answer(place: Place, path: str) -> None:
    """HTTP/2 says so by ending the stream; HTTP/1.1 needs a length, or the client waits."""
    with Peer.connect(place.port) as client:
        client.send(request(path=path, host="new"))
        answer = client.head()
        assert answer.get("content-length") == "0" or answer.has("transfer-encoding", "chunked")
        if answer.get("content-length") is None:
            client.until(b"0\r\n\r\n")
        assert client.ask(host="new").status == 200


def test_http1_head_and_204_in_front_of_http2(place: Place) -> None:
    with Peer.connect(place.port) as client:
        assert client.ask("/status?code=200", "HEAD", host="new").status == 200
        assert client.ask("/status?code=204", host="new").status == 204
        assert client.ask("/status?code=304", host="new").status == 304
        assert client.ask(host="new").status == 200


# Failures.


@pytest.mark.parametrize(
    ("host", "path", "status", "flag"),
    [
        ("unknown.example", "/?h2-unknown", 502, "-"),
        ("empty", "/?h2-empty", 503, "UH"),
        ("closed", "/?h2-closed", 503, "UF"),
        ("old", "/close?h2", 503, "UC"),
        ("old", "/reset?h2", 503, "UC"),
        ("new", "/reset?h2-new", 503, "UR"),
        ("timed", "/hold?h2-timed", 504, "UT"),
    ],
)
def test_failures_are_answered(place: Place, host: str, path: str, status: int, flag: str) -> None:
    with place.client() as client:
        answer = client.ask(path=path, host=host)
        assert answer.status == status
        assert answer.text
        assert f'HTTP/2" {status} {flag} ' in place.proxy.access(path)
        assert client.ask(host="old").status == 200, "the connection goes on"


def test_grpc_callers_get_a_grpc_status(place: Place) -> None:
    with place.client() as client:
        headers = [("content-type", "application/grpc"), ("te", "trailers")]
        answer = client.ask("POST", "/s/M", host="empty", headers=headers, body=b"\0\0\0\0\0")
        assert (answer.status, answer.get("grpc-status")) == (200, "14")
        assert "no healthy upstream" in (answer.get("grpc-message") or "")
        assert answer.body == b""


@pytest.mark.parametrize(
    ("host", "path"),
    [("old", "/partial?h2"), ("old", "/partial-chunked?h2"), ("new", "/reset?late")],
)
def test_an_answer_that_breaks_off_is_reset(place: Place, host: str, path: str) -> None:
    with place.client() as client:
        answer = client.ask(path=path, host=host)
        assert answer.status == 200
        assert answer.reset is not None
        assert not answer.ended
        assert client.ask(host="old").status == 200, "the connection goes on"


@BOTH
def test_a_cancelled_request_is_cancelled_upstream(place: Place, host: str) -> None:
    place.new.released.clear()
    path = "/never" if host == "old" else "/hold"
    left, resets = place.old.left, len(place.new.resets)
    with place.client() as client:
        stream = client.request(path=f"{path}?cancel-{host}", host=host)
        app = place.old if host == "old" else place.new
        wait_until(lambda: app.count(path), "the request to reach the app")
        client.cancel(stream)
        wait_until(
            lambda: place.old.left > left if host == "old" else len(place.new.resets) > resets,
            "the app to be told",
        )
        assert client.ask(host="old").status == 200, "the connection goes on"
    assert " 0 DC " in place.proxy.access(f"{path}?cancel-{host}")


def test_a_client_that_leaves_cancels_all_its_streams(place: Place) -> None:
    place.new.released.clear()
    before, count = len(place.new.resets), place.new.count("/hold")
    with place.client() as client:
        for _ in range(5):
            client.request(path="/hold", host="new")
        wait_until(lambda: place.new.count("/hold") == count + 5, "all of them to reach the app")
    wait_until(lambda: len(place.new.resets) == before + 5, "the app to be told")


def test_an_answer_before_the_request_has_ended(place: Place) -> None:
    with place.client() as client:
        stream = client.request("POST", "/early", host="new", end=False)
        client.data(stream, b"some")
        answer = client.answer(stream)
        assert (answer.status, answer.text) == (200, "early")
        assert client.ask(host="new").status == 200, "the connection goes on"


# Upstream connections that end.


def test_streams_that_a_leaving_server_has_not_looked_at_are_sent_again() -> None:
    """The keep-alive race of HTTP/2: GOAWAY names the last stream that was taken."""
    port = free_port()
    with Http2App() as app:
        app.goaway_at = 3
        text = config(
            me(),
            service("new", port, "http2"),
            workload("new-1", "new", {"http2": app.port}),
            plain([(port, "HTTP")]),
        )
        with Sidecar(text), Http2Client(port) as client:
            statuses = [client.ask(host="new").status for _ in range(10)]
            assert statuses == [200] * 10


def test_requests_go_elsewhere_after_a_goaway() -> None:
    port = free_port()
    with Http2App() as app:
        text = config(
            me(),
            service("new", port, "http2"),
            workload("new-1", "new", {"http2": app.port}),
            plain([(port, "HTTP")]),
        )
        with Sidecar(text), Http2Client(port) as client:
            assert client.ask(host="new").json["connection"] == 0
            app.peers[0].sock.settimeout(1)
            # GOAWAY, no error, last stream 1: the connection is to end.
            app.peers[0].send(bytes.fromhex("000008 07 00 00000000 00000001 00000000"))
            wait_until(lambda: client.ask(host="new").json["connection"] == 1, "another connection")


def test_the_upstreams_bound_on_streams_is_kept() -> None:
    """Where three are allowed at a time, two more find a connection of their own."""
    port = free_port()
    with Http2App({Settings.MAX_CONCURRENT_STREAMS: 3}) as app:
        text = config(
            me(),
            service("new", port, "http2"),
            workload("new-1", "new", {"http2": app.port}),
            plain([(port, "HTTP")]),
        )
        with Sidecar(text), Http2Client(port) as client:
            assert client.ask(host="new").status == 200
            streams = [client.request(path="/hold", host="new") for _ in range(5)]
            wait_until(lambda: app.count("/hold") == 5, "all of them to reach the app")
            app.released.set()
            assert [client.answer(stream).text for stream in streams] == ["released"] * 5
            assert app.accepted == 2


# Flow control.


@BOTH
def test_a_large_download(place: Place, host: str) -> None:
    size = 16 * MIB
    path = f"/bytes?n={size}" if host == "old" else f"/endless?n={size}"
    with Watch(place.memory) as watch, place.client() as client:
        stream = client.request(path=path, host=host)
        got = 0
        while not client.streams[stream].ended:
            assert client.pump()
            got += len(client.streams[stream].body)
            client.streams[stream].body.clear()
        assert got == size
    assert watch.growth < 8192


@BOTH
def test_a_stream_that_is_not_read_stops_the_app(place: Place, host: str) -> None:
    """And not the other streams of its connection, as far as the connection's window goes."""
    app = place.old if host == "old" else place.new
    with Watch(place.memory) as watch, place.client() as client:
        before = still(lambda: app.sent, client)
        client.greedy = False
        stream = client.request(path="/endless", host=host)
        client.until(lambda: len(client.streams[stream].body) >= 32_768, "the first data")
        resting = still(lambda: app.sent - before, client)
        assert resting < 24 * MIB
        client.cancel(stream)
    assert watch.growth < 8192


def test_a_reader_that_takes_bytes_and_opens_no_window(place: Place) -> None:
    """Its transport drains while its windows stay shut: what waits for it stays bounded."""
    app, size, window, count = place.old, 32 * MIB + kernel_buffers(), 3 * MIB, 8
    windows = {Settings.INITIAL_WINDOW_SIZE: window}
    with (
        Watch(place.memory) as watch,
        place.client(settings=windows, receive_buffer=65_536) as client,
    ):
        before = still(lambda: app.sent, client)  # it may still answer who has gone
        client.greedy = False
        client.conn.increment_flow_control_window(64 * MIB)
        client.flush()
        for _ in range(count):
            client.request(path=f"/bytes?n={size}", host="old")
        time.sleep(0.3)  # the transport fills up
        while client_has_data(client):
            pass
        still(lambda: app.sent - before, client)
        # What the windows allow, and for each stream what kernels hold.
        assert app.sent - before < count * (window + kernel_buffers())
    assert watch.growth < 16_384


def client_has_data(client: Http2Client) -> bool:
    client.peer.sock.settimeout(0.2)
    try:
        return client.pump()
    except TimeoutError:
        return False
    finally:
        client.peer.sock.settimeout(10)


def still(number: object, client: Http2Client) -> int:
    """The value of a growing number once it has stopped growing."""
    value, since = -1, time.monotonic()
    while time.monotonic() - since < 0.4:
        client_has_data(client)
        found = number()  # type: ignore[operator]
        if found != value:
            value, since = found, time.monotonic()
    return value


def test_a_slow_app_stops_the_uploader(place: Place) -> None:
    """An app that does not read: the client's window is not opened any further."""
    app = place.old
    app.released.clear()
    size = 64 * MIB
    with Watch(place.memory) as watch, place.client() as client:
        headers = [("content-length", str(size))]
        stream = client.request("POST", "/sink?hold", host="old", headers=headers, end=False)
        sent, quiet = 0, 0
        while sent < size and quiet < 10:
            room = min(client.conn.local_flow_control_window(stream), 16_384)
            if room:
                client.conn.send_data(stream, b"u" * room)
                client.flush()
                sent, quiet = sent + room, 0
            else:
                client.peer.sock.settimeout(0.05)
                try:
                    client.pump()
                except TimeoutError:
                    quiet += 1
        assert sent < 24 * MIB
        client.cancel(stream)
        app.released.set()
    assert watch.growth < 8192


# What is malformed.


GET = [(":method", "GET"), (":scheme", "http"), (":authority", "old"), (":path", "/malformed")]


def changed(name: str, value: str) -> list[tuple[str, str]]:
    return [(found, value if found == name else kept) for found, kept in GET]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(changed(":path", ""), id="empty path"),
        pytest.param(changed(":path", "malformed"), id="path without slash"),
        pytest.param(changed(":path", "/a b"), id="blank in the path"),
        pytest.param(changed(":path", "/a\x7fb"), id="control in the path"),
        pytest.param(changed(":path", "/a\r\nX: y"), id="line break in the path"),
        pytest.param(changed(":path", "/ HTTP/1.1\tx"), id="tab in the path"),
        pytest.param(changed(":method", "GE T"), id="blank in the method"),
        pytest.param(changed(":method", "GET\t"), id="tab in the method"),
        pytest.param(changed(":method", ""), id="empty method"),
        pytest.param(changed(":authority", "a b"), id="blank in the authority"),
        pytest.param(changed(":authority", "a/b"), id="slash in the authority"),
        pytest.param(changed(":authority", "user@old"), id="user in the authority"),
        pytest.param([pair for pair in GET if pair[0] != ":path"], id="no path"),
        pytest.param([pair for pair in GET if pair[0] != ":method"], id="no method"),
        pytest.param([pair for pair in GET if pair[0] != ":scheme"], id="no scheme"),
        pytest.param([*GET, ("x-a", "1\r\nx-b: 2")], id="line break in a value"),
        pytest.param([*GET, ("x-a", "1\x002")], id="NUL in a value"),
        pytest.param([*GET, ("x a", "1")], id="blank in a name"),
        pytest.param([*GET, ("X-A", "1")], id="capital in a name"),
        pytest.param([*GET, ("x-a:", "1")], id="colon in a name"),
        pytest.param([*GET, ("connection", "close")], id="connection"),
        pytest.param([*GET, ("transfer-encoding", "chunked")], id="transfer-encoding"),
        pytest.param([*GET, ("te", "gzip")], id="te"),
        pytest.param([*GET, (":path", "/again")], id="path twice"),
        pytest.param([("x-a", "1"), *GET], id="pseudo after a field"),
        pytest.param([*GET, (":unknown", "1")], id="unknown pseudo"),
        pytest.param([*GET, ("host", "other")], id="another Host"),
        pytest.param([*GET, ("content-length", "1, 1")], id="two lengths"),
        pytest.param([*GET, ("content-length", "5")], id="a length and no body"),
    ],
)
def test_malformed_requests_never_reach_the_app(
    place: Place, headers: list[tuple[str, str]]
) -> None:
    """The stream gets 400 or a reset, or the connection ends; never a hang."""
    before = len(place.old.requests)
    with place.client(checked=False) as client:
        try:
            answer = client.answer(client.raw(headers))
            assert answer.status in (0, 400, 431)
            assert answer.status or answer.reset is not None or client.goaway
        except (Ended, ConnectionResetError, h2.exceptions.ProtocolError):
            pass
    with place.client() as client:
        assert client.ask(host="old", path="/?good").status == 200
    assert [each.target for each in place.old.requests[before:]] == ["/?good"]


def test_too_many_headers(place: Place) -> None:
    with place.client() as client:
        answer = client.ask(host="old", headers=[(f"x-{at}", "v") for at in range(101)])
        assert answer.status == 431
        assert client.ask(host="old").status == 200


def test_too_large_headers(place: Place) -> None:
    """Of 60 KiB: refused, be it with 431 or with the whole connection."""
    before = len(place.old.requests)
    with place.client() as client:
        try:
            headers = [(f"x-{at}", "v" * 8000) for at in range(10)]
            answer = client.answer(client.request(host="old", headers=headers))
            assert answer.status in (0, 431)
        except (Ended, ConnectionResetError, h2.exceptions.ProtocolError):
            pass
    assert len(place.old.requests) == before


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes.fromhex("004001 00 00 00000001") + bytes(16_385), id="frame too long"),
        pytest.param(bytes.fromhex("000000 04 00 80000001"), id="SETTINGS on a stream"),
        pytest.param(bytes.fromhex("000001 00 00 00000063 61"), id="DATA on an idle stream"),
        pytest.param(bytes.fromhex("000004 08 00 00000000 00000000"), id="window of 0"),
        pytest.param(bytes.fromhex("000001 01 05 00000001 ff"), id="broken compression"),
        pytest.param(bytes.fromhex("000000 01 05 00000002"), id="even stream"),
    ],
)
def test_a_broken_connection_ends(place: Place, data: bytes) -> None:
    """With GOAWAY and an end: never a hang, and counted."""
    counter = "meshproxy_downstream_protocol_errors_total"
    before = place.proxy.metrics().value(counter)
    with place.client() as client:
        client.ask(host="old")
        client.peer.send(data)
        assert client.peer.ending(5) in ("end", "reset")
    assert place.proxy.metrics().value(counter) == before + 1


def test_too_many_streams_are_refused() -> None:
    """The bound is told in SETTINGS; what goes beyond is refused, and the rest goes on."""
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("old", port),
            workload("old-1", "old", {"http": app.port}),
            plain([(port, "HTTP")]),
            settings(maxH2Streams=3),
        )
        with Sidecar(text), Http2Client(port) as client:
            client.ask(host="old")
            assert client.conn.remote_settings.max_concurrent_streams == 3


# Plans, ends, records.


def test_the_next_stream_is_under_the_new_plan() -> None:
    port = free_port()
    with App("v1") as v1, App("v2") as v2:

        def text(app: App) -> str:
            return config(
                me(),
                service("app", port),
                workload("app-1", "app", {"http": app.port}),
                plain([(port, "HTTP")]),
            )

        with Sidecar(text(v1)) as proxy, Http2Client(port) as client:
            assert client.ask().json["app"] == "v1"
            held = client.request(path="/hold")
            wait_until(lambda: v1.count("/hold"), "the request to reach the app")
            proxy.reload(text(v2))
            wait_until(lambda: client.ask().json["app"] == "v2", "the new plan")
            v1.released.set()
            assert client.answer(held).text == "released v1"


def test_while_it_drains_it_says_goaway() -> None:
    """Inbound: no new streams, those that are open are finished."""
    inbound = free_port()
    with App() as app:
        text = config(me(), plain([], [(inbound, "HTTP", app.port)]))
        with Sidecar(text, drain="8s") as proxy:
            # The service is HTTP/1.1: streams in front of it all the same.
            with Http2Client(inbound) as client:
                held = client.request(path="/hold")
                wait_until(lambda: app.count("/hold"), "the request to reach the app")
                proxy.signal(signal.SIGTERM)
                client.until(lambda: client.goaway, "GOAWAY")
                assert client.goaway is not None
                assert client.goaway.error_code == 0
                app.released.set()
                stream = client.streams[held]
                client.until(lambda: stream.ended, "the answer")
                assert stream.text == "released app"
            assert proxy.wait() == 0
            assert "nothing is in flight any more" in proxy.log


def test_policies_hold_for_streams() -> None:
    inbound = free_port()
    with App() as app:
        text = config(
            me(),
            plain([], [(inbound, "HTTP", app.port)]),
            istio("AuthorizationPolicy", "nobody", {}),
        )
        with Sidecar(text), Http2Client(inbound) as client:
            assert client.ask().status == 403
            assert app.requests == []


def test_it_is_logged_and_counted(place: Place) -> None:
    labels = {"destination_service": "new.default.svc.cluster.local", "response_code": "200"}
    name = "istio_requests_total"
    before = place.proxy.metrics().value(name, **labels)
    with place.client() as client:
        answer = client.ask("POST", "/?h2-logged", host="new", body=b"abc")
    line = place.proxy.access("/?h2-logged")
    assert '"POST /?h2-logged HTTP/2" 200 - via_upstream ' in line
    assert f" 3 {len(answer.body)} " in line
    assert place.proxy.metrics().value(name, **labels) == before + 1


def test_grpc_is_counted_as_grpc(place: Place) -> None:
    name = "istio_requests_total"
    labels = {"request_protocol": "grpc", "grpc_response_status": "5", "response_code": "200"}
    before = place.proxy.metrics().value(name, **labels)
    with place.client() as client:
        headers = [("content-type", "application/grpc"), ("te", "trailers")]
        path = "/trailers?code=5&type=application/grpc"
        answer = client.ask("POST", path, host="new", headers=headers, body=b"\0\0\0\0\0")
        assert ("grpc-status", "5") in answer.trailers
    assert place.proxy.metrics().value(name, **labels) == before + 1


def test_the_inbound_side(place: Place) -> None:
    with Http2Client(place.inbound) as client:
        answer = client.ask("POST", body=b"in")
        assert answer.json["body"] == "in"
        assert answer.get("server") == "istio-envoy"
    assert json.loads(ask(place.inbound, "/", "POST", body=b"old").text)["body"] == "old"


def test_the_preface_may_come_in_pieces(place: Place) -> None:
    """Byte by byte, on a port that carries HTTP/1.1 as well."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000 04 00 00000000")
    with Peer.connect(place.port) as client:
        for byte in preface:
            client.send(bytes([byte]))
            time.sleep(0.001)
        assert client.exactly(9)[3] == 4, "SETTINGS"
