"""What a caller reads, and what the log says, when there is no good answer to be had."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.peers import Message, Peer, ask, request, wait_until
from tests.support.servers import App, Server, silent
from tests.support.sidecar import (
    KINDS,
    Sidecar,
    config,
    free_port,
    istio,
    me,
    mesh_config,
    plain,
    route_to,
    service,
    settings,
    subsets,
    virtual_service,
    workload,
)


@dataclass(frozen=True)
class Place:
    """Services that each fail in a way of their own."""

    proxy: Sidecar
    port: int
    app: App

    def ask(self, host: str, path: str = "/", method: str = "GET", **more: bytes) -> Message:
        return ask(self.port, path, method, host, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    codec, workers = request.param
    port = free_port()
    with App() as app:
        text = config(
            me(),
            *(service(name, port) for name in ("app", "timed", "empty", "closed", "secure")),
            workload("app-1", "app", {"http": app.port}),
            workload("timed-1", "timed", {"http": app.port}),
            workload("closed-1", "closed", {"http": free_port()}),
            workload("secure-1", "secure", {"http": app.port}),
            virtual_service("timed", {"timeout": "200ms", "route": [route_to("timed")]}),
            virtual_service(
                "app",
                {
                    "match": [{"uri": {"prefix": "/subset"}}],
                    "route": [route_to("app", subset="v7")],
                },
                {"match": [{"uri": {"prefix": "/typo"}}], "route": [route_to("app", subset="x")]},
                {"match": [{"uri": {"prefix": "/gone"}}], "route": [route_to("nobody")]},
                {"route": [route_to("app")]},
            ),
            subsets("app", "v1", "v7"),
            istio(
                "DestinationRule",
                "secure",
                {"host": "secure", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
            ),
            plain([(port, "HTTP")]),
            settings(accessLogFlush="20ms", connectTimeout="300ms"),
        )
        with Sidecar(text, codec=codec, workers=workers) as proxy:
            yield Place(proxy, port, app)


def check(place: Place, answer: Message, path: str, status: int, flag: str, details: str) -> None:
    """Status, a sentence in the body with the flag, and the log's flag and details."""
    assert answer.status == status, answer.text
    assert answer.get("content-type") == "text/plain"
    assert len(answer.text) > 20
    if flag != "-":
        assert f"({flag})" in answer.text
    assert f'" {status} {flag} {details} ' in place.proxy.access(path)


def test_an_upstream_that_takes_too_long(place: Place) -> None:
    begun = time.monotonic()
    answer = place.ask("timed", "/never?timeout")
    check(place, answer, "/never?timeout", 504, "UT", "response_timeout")
    assert time.monotonic() - begun > 0.18
    wait_until(lambda: place.app.left, "the upstream to be told")


def test_the_timeout_counts_from_the_requests_end(place: Place) -> None:
    """An upload that takes longer than the timeout is no reason to give up."""
    with Peer.connect(place.port) as client:
        client.send(request("POST", "/", "timed", [("Content-Length", "4")]) + b"ab")
        assert client.silent(0.4)
        client.send(b"cd")
        assert client.answer().seen.body == b"abcd"
    with Peer.connect(place.port) as client:
        client.send(request("POST", "/never?upload", "timed", [("Content-Length", "4")]) + b"ab")
        assert client.silent(0.4)
        client.send(b"cd")
        assert client.answer().status == 504


def test_the_timeout_holds_for_the_whole_answer(place: Place) -> None:
    """An answer that has begun and does not end is cut off (Envoy's route timeout)."""
    place.app.released.clear()
    with Peer.connect(place.port) as client:
        client.send(request("GET", "/drip?timeout", "timed"))
        assert client.head().status == 200
        assert client.exactly(1) == b"d"
        assert client.ending() in ("end", "reset")
    assert " 200 UT " in place.proxy.access("/drip?timeout")
    place.app.released.set()


def test_answers_in_time_are_not_touched(place: Place) -> None:
    answer = place.ask("timed")
    assert answer.status == 200
    assert answer.seen.get("x-envoy-expected-rq-timeout-ms") == "200"


def test_a_host_that_nobody_has(place: Place) -> None:
    answer = place.ask("unknown.example", "/?unknown")
    check(place, answer, "/?unknown", 502, "-", "direct_response")


def test_a_subset_without_endpoints(place: Place) -> None:
    answer = place.ask("app", "/subset")
    check(place, answer, "/subset", 503, "UH", "no_healthy_upstream")


def test_a_service_without_endpoints(place: Place) -> None:
    answer = place.ask("empty", "/?empty")
    check(place, answer, "/?empty", 503, "UH", "no_healthy_upstream")


@pytest.mark.parametrize("path", ["/typo", "/gone"])
def test_a_destination_that_does_not_exist(place: Place, path: str) -> None:
    """A subset that no rule defines, and a host that no service has."""
    answer = place.ask("app", path)
    check(place, answer, path, 503, "NC", "cluster_not_found")


def test_a_connection_that_is_refused(place: Place) -> None:
    answer = place.ask("closed", "/?refused")
    details = "upstream_reset_before_response_started{remote_connection_failure}"
    check(place, answer, "/?refused", 503, "UF", details)
    assert '"delayed_connect_error:_connection_refused"' in place.proxy.access("/?refused")


def test_a_connection_that_is_refused_with_a_body(place: Place) -> None:
    answer = place.ask("closed", "/?refused-post", "POST", body=b"x" * 300_000)
    assert answer.status == 503


@pytest.mark.parametrize("path", ["/close?uc", "/reset?uc"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_upstream_that_gives_no_answer(place: Place, path: str, method: str) -> None:
    path = f"{path}-{method}"
    answer = place.ask("app", path, method)
    details = "upstream_reset_before_response_started{connection_termination}"
    check(place, answer, path, 503, "UC", details)


def test_tls_that_is_asked_for_is_never_left_out(place: Place) -> None:
    """503 that names the rule, and not a byte in plain text."""
    answer = place.ask("secure", "/?tls")
    assert answer.status == 503
    assert "DestinationRule" in answer.text
    assert "secure" in answer.text
    assert "ISTIO_MUTUAL" in answer.text
    assert " 503 UF " in place.proxy.access("/?tls")
    assert not any("?tls" in head.target for head in place.app.requests)


def test_a_failure_does_not_cost_the_client_its_connection(place: Place) -> None:
    with Peer.connect(place.port) as client:
        statuses = [
            client.ask(path, host=host).status
            for host, path in [
                ("closed", "/"),
                ("app", "/close"),
                ("empty", "/"),
                ("unknown", "/"),
                ("app", "/"),
            ]
        ]
    assert statuses == [503, 503, 503, 502, 200]


def test_failures_are_counted_by_flag(place: Place) -> None:
    before = place.proxy.metrics()
    place.ask("closed")
    place.ask("empty")
    after = place.proxy.metrics()
    for service_, flag in (("closed", "UF"), ("empty", "UH")):
        labels = {
            "destination_service": f"{service_}.default.svc.cluster.local",
            "response_code": "503",
            "response_flags": flag,
        }
        name = "istio_requests_total"
        assert after.value(name, **labels) == before.value(name, **labels) + 1


# gRPC callers are answered in their own language.


def test_grpc_callers_get_a_grpc_status(place: Place) -> None:
    """With a length, since over HTTP/1 nothing else says that no body follows."""
    with Peer.connect(place.port) as client:
        headers = [("Content-Type", "application/grpc")]
        client.send(request("POST", "/s/M", "empty", headers, b"x"))
        answer = client.head()
        assert answer.status == 200
        assert answer.get("grpc-status") == "14"
        assert "no healthy upstream" in (answer.get("grpc-message") or "")
        assert answer.get("content-length") == "0"
        assert client.ask(host="app").status == 200


# Things that need a configuration of their own.


def test_a_connection_that_does_not_come_about_in_time() -> None:
    """A listening socket whose queue is full answers no SYN."""
    import socket

    port = free_port()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        number = full.getsockname()[1]
        waiting = []
        for _ in range(2):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", number))
            waiting.append(sock)
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": number}),
            plain([(port, "HTTP")]),
            settings(accessLogFlush="20ms", connectTimeout="300ms"),
        )
        try:
            with Sidecar(text) as proxy:
                begun = time.monotonic()
                answer = ask(port, "/?slow-connect")
                assert time.monotonic() - begun > 0.25
                assert answer.status == 503
                assert "connection timeout" in answer.text
                assert " 503 UF " in proxy.access("/?slow-connect")
        finally:
            for sock in waiting:
                sock.close()


@pytest.mark.parametrize("mode", ["REGISTRY_ONLY", "ALLOW_ANY"])
def test_unknown_hosts_on_a_plain_port_are_refused_by_either_policy(mode: str) -> None:
    port = free_port()
    text = config(me(), mesh_config(outboundTrafficPolicy={"mode": mode}), plain([(port, "HTTP")]))
    with Sidecar(text):
        answer = ask(port, host="unknown.example")
        assert answer.status == 502
        assert ("REGISTRY_ONLY" in answer.text) == (mode == "REGISTRY_ONLY")


def test_an_unfinished_request_does_not_hold_an_upstream_connection_for_others() -> None:
    """One client that uploads for ever does not stop another."""
    port = free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            plain([(port, "HTTP")]),
        )
        with Sidecar(text), Peer.connect(port) as slow:
            slow.send(request("POST", "/", headers=[("Content-Length", "10")]) + b"x")
            for _ in range(5):
                assert ask(port).status == 200


def test_a_silent_upstream_keeps_the_client_waiting_only_as_long_as_it_wants() -> None:
    port = free_port()
    with Server(silent) as server:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": server.port}),
            plain([(port, "HTTP")]),
        )
        with Sidecar(text) as proxy:
            with Peer.connect(port) as client:
                client.send(request())
                assert client.silent(0.3)
            wait_until(lambda: server.open == 0, "the upstream's connection to end")
            assert proxy.metrics().value("istio_requests_total", response_flags="DC") == 1
