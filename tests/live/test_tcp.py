"""Opaque connections: bytes as they come, ends and resets as they happen, on whichever side."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.peers import Ended, Peer, wait_until
from tests.support.servers import Server, banner, echo_bytes, silent
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    plain,
    route_to,
    service,
    settings,
    subsets,
    workload,
)

HELLO = b"220 ready\r\n"


heard: list[bytes] = []


def ends_first(peer: Peer) -> None:
    """Ends its side at once, and keeps what it hears after that."""
    peer.send(b"over")
    peer.end()
    heard.append(peer.rest())


def resets(peer: Peer) -> None:
    """Resets as soon as it has heard something."""
    peer.more()
    peer.reset()


@dataclass(frozen=True)
class Place:
    """Ports by name: declared TCP (``tcp_*``) and undeclared ones, out and in."""

    proxy: Sidecar
    ports: dict[str, int]
    servers: dict[str, Server]

    def connect(self, name: str, **more: object) -> Peer:
        return Peer.connect(self.ports[name], **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=[1, 2])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    behaviours = {
        "echo": echo_bytes,
        "banner": banner(HELLO),
        "silent": silent,
        "ends": ends_first,
        "resets": resets,
    }
    servers = {name: Server(behave) for name, behave in behaviours.items()}
    ports = {f"{kind}_{name}": free_port() for name in servers for kind in ("tcp", "any")}
    ports |= {name: free_port() for name in ("tcp_refused", "any_refused", "tcp_empty", "tcp_none")}
    ports |= {f"in_{kind}_{name}": free_port() for name in servers for kind in ("tcp", "any")}
    documents = [me(), service("tcp-empty", ports["tcp_empty"], "tcp")]
    for name in (*servers, "refused"):
        number = servers[name].port if name in servers else free_port()
        for kind in ("tcp", "any"):
            full = f"{kind}-{name}"
            port_name = "tcp" if kind == "tcp" else "odd"
            documents += [
                service(full, ports[f"{kind}_{name}"], port_name),
                workload(f"{full}-1", full, {port_name: number}),
            ]
    egress = [
        (number, "TCP" if name.startswith("tcp") else "")
        for name, number in ports.items()
        if not name.startswith("in_")
    ]
    ingress = [
        (ports[f"in_{kind}_{name}"], "TCP" if kind == "tcp" else "", server.port)
        for name, server in servers.items()
        for kind in ("tcp", "any")
    ]
    text = config(
        *documents, plain(egress, ingress), settings(accessLogFlush="20ms", detectLimit="300ms")
    )
    try:
        with Sidecar(text, workers=request.param) as proxy:
            yield Place(proxy, ports, servers)
    finally:
        for server in servers.values():
            server.close()


EVERY_ECHO = ["tcp_echo", "any_echo", "in_tcp_echo", "in_any_echo"]


@pytest.mark.parametrize("name", EVERY_ECHO)
def test_bytes_pass_both_ways(place: Place, name: str) -> None:
    with place.connect(name) as client:
        for text in (b"\x00\x01\x02", b"plain\n", bytes(range(256)) * 100):
            client.send(text)
            assert client.exactly(len(text)) == text


@pytest.mark.parametrize("name", EVERY_ECHO)
def test_much_passes_both_ways(place: Place, name: str) -> None:
    data = b"\x00" + bytes(range(256)) * 16384  # 4 MiB
    with place.connect(name) as client:
        got = bytearray()
        step = 65536
        for at in range(0, len(data), step):
            client.send(data[at : at + step])
            got += client.exactly(min(step, len(data) - at))
        assert bytes(got) == data


@pytest.mark.parametrize("name", EVERY_ECHO)
def test_the_client_may_end_first(place: Place, name: str) -> None:
    """Half-close: the answer to the last words still comes."""
    with place.connect(name) as client:
        client.send(b"\x01last words").end()
        assert client.rest() == b"\x01last words"


@pytest.mark.parametrize("name", ["tcp_ends", "any_ends", "in_tcp_ends", "in_any_ends"])
def test_the_server_may_end_first(place: Place, name: str) -> None:
    """Its end is told at once, and what the client says after that still arrives."""
    heard.clear()
    with place.connect(name) as client:
        assert client.rest() == b"over"
        client.send(b"\x01and yet").end()
        wait_until(lambda: heard == [b"\x01and yet"], "the server to hear it")


@pytest.mark.parametrize("name", ["tcp_resets", "any_resets", "in_tcp_resets"])
def test_a_reset_of_the_server_is_a_reset_for_the_client(place: Place, name: str) -> None:
    with place.connect(name) as client:
        client.send(b"\x01")
        assert client.ending() == "reset"


@pytest.mark.parametrize("name", ["tcp_echo", "any_echo", "in_tcp_echo"])
def test_a_reset_of_the_client_is_a_reset_for_the_server(place: Place, name: str) -> None:
    server = place.servers["echo"]
    before = server.cut_off
    with place.connect(name) as client:
        client.send(b"\x01")
        assert client.exactly(1) == b"\x01"
        client.reset()
    wait_until(lambda: server.cut_off > before, "the server to see a reset")


@pytest.mark.parametrize("name", ["tcp_banner", "any_banner", "in_tcp_banner", "in_any_banner"])
def test_a_server_may_speak_first(place: Place, name: str) -> None:
    """Also where nobody said what the port carries: SMTP must not wait for a client that waits."""
    server = place.servers["banner"]
    before = server.accepted
    with place.connect(name) as client:
        assert client.exactly(len(HELLO)) == HELLO
        client.send(b"EHLO me\r\n")
        assert client.exactly(9) == b"EHLO me\r\n"
    assert server.accepted == before + 1, "it is the same connection that was looked at"


def test_a_client_that_speaks_late_is_still_understood(place: Place) -> None:
    """The upstream is dialled while it is silent; what it says then goes there."""
    server = place.servers["echo"]
    before = server.accepted
    with place.connect("any_echo") as client:
        wait_until(lambda: server.accepted > before, "the upstream to be dialled")
        client.send(b"\x01late")
        assert client.exactly(5) == b"\x01late"
    assert server.accepted == before + 1


@pytest.mark.parametrize("name", ["tcp_silent", "any_silent", "in_any_silent"])
def test_both_may_be_silent(place: Place, name: str) -> None:
    """Nobody is cut off for it, and the end of one is told to the other."""
    server = place.servers["silent"]
    before = server.accepted
    with place.connect(name) as client:
        wait_until(lambda: server.accepted > before, "the upstream to be dialled")
        assert client.silent(0.3)
        assert server.open
    wait_until(lambda: not server.open, "the server to be told")


def test_a_connection_that_only_looks(place: Place) -> None:
    """Opened and ended without a word, as port checks do."""
    server = place.servers["echo"]
    for name in EVERY_ECHO:
        with place.connect(name) as client:
            client.end()
            assert client.rest() == b""
    wait_until(lambda: not server.open, "the upstream connections to end")


TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(range(256)) * 2


@pytest.mark.parametrize("name", EVERY_ECHO)
def test_tls_passes_as_it_is(place: Place, name: str) -> None:
    with place.connect(name) as client:
        client.send(TLS_HELLO)
        assert client.exactly(len(TLS_HELLO)) == TLS_HELLO


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"\x00", id="one byte"),
        pytest.param(b"PING\r\n", id="Redis"),
        pytest.param(b"*1\r\n$4\r\nPING\r\n", id="Redis, new"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="SSH"),
        pytest.param(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", id="PostgreSQL"),
        pytest.param(b"hello world\r\n", id="words"),
        pytest.param(b"G", id="perhaps GET, perhaps not"),
    ],
)
def test_client_first_protocols_on_an_undeclared_port(place: Place, text: bytes) -> None:
    """What is not clearly HTTP passes as it is; never an endless wait for more."""
    with place.connect("any_echo") as client:
        client.send(text)
        assert client.exactly(len(text)) == text


@pytest.mark.parametrize("name", ["tcp_refused", "any_refused"])
def test_a_server_that_refuses(place: Place, name: str) -> None:
    assert fate(place, name) == "reset"
    assert " 0 UF " in place.proxy.access(f":{place.ports[name]} ")


def test_a_service_without_endpoints(place: Place) -> None:
    assert fate(place, "tcp_empty") == "reset"
    assert " 0 UH " in place.proxy.access(f":{place.ports['tcp_empty']} ")


def test_a_port_that_no_service_has(place: Place) -> None:
    assert fate(place, "tcp_none") == "reset"
    assert " BlackHoleCluster " in place.proxy.access(f":{place.ports['tcp_none']} ")


def fate(place: Place, name: str) -> str:
    """How a connection ends; a quick reset already meets the one who connects."""
    try:
        with place.connect(name) as client:
            client.send_quietly(b"\x01")
            return client.ending()
    except ConnectionResetError:
        return "reset"


def test_connections_are_logged_and_counted(place: Place) -> None:
    port = place.ports["tcp_echo"]
    labels = {"destination_service": "tcp-echo.default.svc.cluster.local"}
    names = [
        f"istio_tcp_{name}_total"
        for name in ("connections_opened", "connections_closed", "received_bytes", "sent_bytes")
    ]
    before = [place.proxy.metrics().value(name, **labels) for name in names]
    with place.connect("tcp_echo", source="127.0.0.21") as client:
        own = "{}:{}".format(*client.own_name)
        client.send(b"12345")
        assert client.exactly(5) == b"12345"
        client.send(b"678").end()
        assert client.rest() == b"678"
    line = place.proxy.access(own)
    assert line.split('"')[1] == "- - -", "no method, path or protocol"
    assert '" 0 - - - "-" 8 8 ' in line
    assert f"outbound|{port}||tcp-echo.default.svc.cluster.local" in line
    after = [place.proxy.metrics().value(name, **labels) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 8, 8]


def test_a_reset_is_logged(place: Place) -> None:
    with place.connect("tcp_resets", source="127.0.0.22") as client:
        own = "{}:{}".format(*client.own_name)
        client.send(b"\x01")
        assert client.ending() == "reset"
    assert " 0 UC " in place.proxy.access(own)


def test_long_connections_are_counted_while_they_live(place: Place) -> None:
    labels = {"destination_service": "tcp-echo.default.svc.cluster.local"}
    name = "istio_tcp_received_bytes_total"
    before = place.proxy.metrics().value(name, **labels)
    with place.connect("tcp_echo") as client:
        client.send(b"x" * 1000)
        client.exactly(1000)
        wait_until(
            lambda: place.proxy.metrics().value(name, **labels) >= before + 1000,
            "bytes of an open connection to be counted",
        )


# Undeclared ports that turn out to carry HTTP.


def test_http_on_an_undeclared_port() -> None:
    from tests.support.servers import App

    port, inbound = free_port(), free_port()
    with App() as app:
        text = config(
            me(),
            service("app", port, "odd"),
            workload("app-1", "app", {"odd": app.port}),
            plain([(port, "")], [(inbound, "", app.port)]),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(text) as proxy:
            for number in (port, inbound):
                with Peer.connect(number) as client:
                    assert client.ask().seen.get("x-request-id")
                    assert client.ask("/?again").status == 200
                # A client that takes its time before its first byte, and in the middle of a word.
                with Peer.connect(number) as client:
                    assert client.silent(0.3)
                    client.send(b"GE")
                    assert client.silent(0.1)
                    client.send(b"T / HTTP/1.1\r\nHost: app\r\n\r\n")
                    assert client.answer().seen.get("x-request-id")
            assert proxy.metrics().value("istio_requests_total") == 6


# Weights.


def test_tcp_routes_are_weighted() -> None:
    port = free_port()
    with Server(banner(b"1")) as one, Server(banner(b"2")) as two:
        text = config(
            me(),
            service("db", port, "tcp"),
            workload("db-1", "db", {"tcp": one.port}, "v1"),
            workload("db-2", "db", {"tcp": two.port}, "v2"),
            subsets("db", "v1", "v2"),
            istio(
                "VirtualService",
                "db",
                {
                    "hosts": ["db"],
                    "tcp": [
                        {
                            "route": [
                                route_to("db", subset="v1", weight=75),
                                route_to("db", subset="v2", weight=25),
                            ]
                        }
                    ],
                },
            ),
            plain([(port, "TCP")]),
        )
        count = 400
        with Sidecar(text, workers=2):
            seen: Counter[bytes] = Counter()
            for _ in range(count):
                with Peer.connect(port) as client:
                    seen[client.exactly(1)] += 1
        assert seen[b"1"] + seen[b"2"] == count
        assert abs(seen[b"2"] - count * 0.25) < 5 * math.sqrt(count * 0.25 * 0.75)


# Back-pressure.


def test_a_slow_reader_stops_the_server() -> None:
    _flood("down")


def test_a_slow_server_stops_the_client() -> None:
    _flood("up")


def _flood(way: str) -> None:
    """Whoever sends without end is stopped, because nobody reads; nothing is piled up between."""
    import threading

    port = free_port()
    done = threading.Event()
    sent = [0]

    def pour(peer: Peer) -> None:
        peer.sock.settimeout(1.0)
        try:
            while sent[0] < 200 << 20:
                sent[0] += peer.sock.send(b"\x00" * 65536)
        except TimeoutError:
            done.set()

    def behave(peer: Peer) -> None:
        if way == "down":
            pour(peer)
        done.wait(30)

    with Server(behave) as server:
        text = config(
            me(),
            service("db", port, "tcp"),
            workload("db-1", "db", {"tcp": server.port}),
            plain([(port, "TCP")]),
        )
        with Sidecar(text) as proxy, Peer.connect(port) as client:
            before = proxy.pss()
            if way == "up":
                pour(client)
            assert done.wait(20), "the sender was never stopped"
            # Kernel buffers hold some megabytes; the program itself a quarter of one each way.
            assert sent[0] < 40 << 20
            grown = max(after - before[pid] for pid, after in proxy.pss().items())
            assert grown < 4096, f"{grown} KiB more memory"
            done.set()


def test_a_connection_ends_when_it_has_been_idle_too_long() -> None:
    port = free_port()
    with Server(echo_bytes) as server:
        text = config(
            me(),
            service("db", port, "tcp"),
            workload("db-1", "db", {"tcp": server.port}),
            plain([(port, "TCP")]),
            settings(tcpIdleTimeout="500ms"),
        )
        with Sidecar(text), Peer.connect(port) as client:
            client.send(b"a")
            assert client.exactly(1) == b"a"
            assert client.ending() == "end"


def test_an_answer_is_not_lost_when_its_server_ends_at_once() -> None:
    """Much data, then an end, and a reader that takes its time."""
    port = free_port()
    size = 3_000_000

    def behave(peer: Peer) -> None:
        peer.send(b"z" * size)

    with Server(behave) as server:
        text = config(
            me(),
            service("db", port, "tcp"),
            workload("db-1", "db", {"tcp": server.port}),
            plain([(port, "TCP")]),
        )
        with Sidecar(text), Peer.connect(port, receive_buffer=65536) as client:
            got = 0
            while data := client.sock.recv(100_000):
                got += len(data)
                time.sleep(0.001)
            assert got == size
            with pytest.raises(Ended):
                client.exactly(1)
