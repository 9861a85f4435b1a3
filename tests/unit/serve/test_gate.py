"""The first look at a connection: where it was going, who speaks first, and in what."""

from __future__ import annotations

import pytest

from meshproxy.model.listener import Application
from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.model.settings import Settings
from meshproxy.model.telemetry import AccessLog
from meshproxy.wire.sniff import PREFACE
from tests.support.models import a_cluster, inbound, outbound
from tests.support.path import DataPath
from tests.unit.wire.test_client_hello import real_hello

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
TO_SHOP = TcpRoute((WeightedCluster("outbound|80|v1|shop"),))


def detect(**changes: object) -> DataPath:
    """An undeclared port of a service: HTTP is routed, the rest goes to its one cluster."""
    return DataPath(outbound(application=Application.DETECT, tcp=TO_SHOP, **changes))  # type: ignore[arg-type]


def tcp() -> DataPath:
    return DataPath(outbound(application=Application.TCP, tcp=TO_SHOP, route_config=""))


def test_a_connection_made_straight_to_us_is_closed_and_counted() -> None:
    path = DataPath(outbound())
    client = path.connect(None)
    assert client.aborted
    assert path.plain("meshproxy_direct_connections_total", "out") == 1
    client.lose()
    assert path.limits.open == 0


def test_who_is_gone_before_it_was_accepted_counts_for_nothing() -> None:
    path = DataPath(outbound())
    client = path.connect(client="")
    assert client.aborted
    assert path.plain("meshproxy_connections_refused_total", "out") == 0
    assert path.plain("meshproxy_direct_connections_total", "out") == 0
    client.lose()
    assert path.limits.open == 0


def test_the_most_exact_chain_wins() -> None:
    path = DataPath(outbound(port=9, ips=("10.1.1.1",), application=Application.TCP, tcp=TO_SHOP))
    path.connect("10.1.1.1:9")
    assert path.dials() == ["10.0.0.1:80"]
    client = path.connect("10.1.1.2:9")
    client.receive(b"\x00\x01")
    assert path.dials() == ["10.0.0.1:80", "10.1.1.2:9"]


@pytest.mark.parametrize("pieces", [[GET], [b"G", b"ET / HT", GET[8:]]], ids=["whole", "in parts"])
def test_http_on_an_undeclared_port(pieces: list[bytes]) -> None:
    path = detect()
    client = path.connect()
    for piece in pieces:
        client.receive(piece)
    assert path.dials() == ["10.0.0.1:80"]
    server = path.dialled()
    assert server.take().startswith(b"GET / HTTP/1.1")


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02",
        b"\x16\x03\x01\x00\x05hello",
        b"EHLO x\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"{}\n",
    ],
)
def test_other_bytes_are_passed_on_as_they_are(data: bytes) -> None:
    path = detect()
    client = path.connect()
    client.receive(data)
    server = path.dialled()
    assert server.take() == data
    server.receive(b"answer")
    assert client.take() == b"answer"


def test_a_server_that_speaks_first() -> None:
    path = detect()
    client = path.connect()
    path.loop.advance(0.09)
    assert path.dials() == []
    path.loop.advance(0.03)
    server = path.dialled()
    server.receive(b"220 hello\r\n")
    assert client.take() == b"220 hello\r\n"
    client.receive(b"EHLO x\r\n")
    assert server.take() == b"EHLO x\r\n"
    assert path.dials() == []


def test_a_late_http_client_is_still_routed() -> None:
    path = detect()
    client = path.connect()
    path.loop.advance(1)
    speculative = path.dialled()
    client.receive(GET)
    assert speculative.closed
    server = path.dialled()
    assert server.take().startswith(b"GET / ")


def test_late_opaque_bytes_use_the_connection_that_is_there() -> None:
    path = detect()
    client = path.connect()
    path.loop.advance(1)
    server = path.dialled()
    client.receive(b"\x00hello")
    assert server.take() == b"\x00hello"
    assert path.dials() == []
    client.end()
    assert server.eof_written


def test_a_silent_client_of_a_server_that_is_not_there_is_told() -> None:
    path = detect()
    client = path.connect()
    path.loop.advance(1)
    path.refused()
    assert client.aborted


def test_a_beginning_that_stays_undecided_is_opaque_in_the_end() -> None:
    path = detect()
    client = path.connect()
    client.receive(b"GE")
    path.loop.advance(5.2)
    server = path.dialled()
    assert server.take() == b"GE"


def test_a_client_that_only_ends_its_side() -> None:
    path = detect()
    client = path.connect()
    client.end()
    server = path.dialled()
    assert server.eof_written
    server.receive(b"x")
    assert client.take() == b"x"


def test_http_2_is_told_by_its_preface() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(PREFACE[:7])
    assert client.written == b""
    client.receive(PREFACE[7:] + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    assert client.take()[3:4] == b"\x04"  # our SETTINGS


def test_declared_tcp_is_dialled_before_anybody_speaks() -> None:
    path = tcp()
    client = path.connect()
    assert path.dials() == ["10.0.0.1:80"]
    client.receive(b"early")
    assert not client.reading
    server = path.dialled()
    assert server.take() == b"early"
    assert client.reading


def test_half_close_and_reset_are_carried_over() -> None:
    path = tcp()
    client = path.connect()
    server = path.dialled()
    client.receive(b"question")
    client.end()
    assert server.take() == b"question"
    assert server.eof_written
    assert not client.closed
    server.receive(b"answer")
    server.end()
    assert client.take() == b"answer"
    assert client.eof_written
    assert client.closed
    assert server.closed
    other = path.connect()
    upstream = path.dialled()
    other.lose(ConnectionResetError())
    assert upstream.aborted
    third = path.connect()
    path.dialled().lose(ConnectionResetError())
    assert third.aborted


def test_tcp_back_pressure() -> None:
    path = tcp()
    client = path.connect()
    server = path.dialled()
    server.fill()
    assert not client.reading
    server.empty()
    assert client.reading
    client.fill()
    assert not server.reading
    client.empty()
    assert server.reading


def test_tcp_counts() -> None:
    path = tcp()
    client = path.connect()
    server = path.dialled()
    client.receive(b"12345")
    server.receive(b"123")
    ((labels, cell),) = path.counters._tcp.items()
    assert labels[0] == "source"
    assert (cell.opened, cell.closed) == (1, 0)
    path.loop.advance(1.1)
    assert (cell.received, cell.sent) == (5, 3)
    client.lose()
    assert cell.closed == 1
    assert path.limits.open == 0


def test_an_unreachable_server_resets_the_client() -> None:
    path = tcp()
    client = path.connect()
    path.refused()
    assert client.aborted
    client.lose()
    ((labels, cell),) = path.counters._tcp.items()
    assert "UF" in labels
    assert (cell.opened, cell.closed) == (1, 1)


def test_no_tcp_endpoint() -> None:
    path = DataPath(
        outbound(
            clusters=[a_cluster(endpoints=())],
            application=Application.TCP,
            tcp=TO_SHOP,
            route_config="",
        )
    )
    assert path.connect().aborted


def test_denied_tcp() -> None:
    path = DataPath(inbound(Application.TCP, deny="AuthorizationPolicy default/p"))
    client = path.connect("10.0.0.1:8080", "in")
    assert client.aborted
    assert path.dials() == []


def test_plaintext_where_only_mutual_tls_may_enter() -> None:
    path = DataPath(inbound(refuse_plaintext="PeerAuthentication default/strict"))
    client = path.connect("10.0.0.1:8080", "in")
    assert client.aborted
    assert path.plain("meshproxy_connections_refused_total", "in", "plaintext") == 1


def test_the_limit_on_connections() -> None:
    path = DataPath(outbound(settings=Settings(max_connections=2)))
    clients = [path.connect() for _ in range(3)]
    assert [client.aborted for client in clients] == [False, False, True]
    clients[0].lose()
    clients[2].lose()
    assert not path.connect().aborted
    assert path.limits.open == 2


# Waiting too long.


def test_a_slow_head_is_answered_and_closed() -> None:
    path = DataPath(outbound(settings=Settings(header_timeout=3.0)))
    client = path.connect()
    client.receive(GET[:20])
    path.loop.advance(2)
    client.receive(GET[20:22])
    path.loop.advance(3)
    assert client.written.startswith(b"HTTP/1.1 408 ")
    assert client.eof_written


def test_an_idle_connection_is_closed() -> None:
    path = DataPath(outbound(settings=Settings(downstream_idle_timeout=30.0)))
    client = path.connect()
    client.receive(GET)
    server = path.dialled()
    path.loop.advance(100)
    assert not client.closed
    server.receive(b"HTTP/1.1 204 No Content\r\n\r\n")
    path.loop.advance(29)
    assert not client.closed
    path.loop.advance(3)
    assert client.closed


def test_an_idle_opaque_connection_is_closed() -> None:
    path = DataPath(
        outbound(
            application=Application.TCP,
            tcp=TO_SHOP,
            route_config="",
            settings=Settings(tcp_idle_timeout=30.0),
        )
    )
    client = path.connect()
    server = path.dialled()
    path.loop.advance(20)
    server.receive(b"x")
    path.loop.advance(20)
    assert not client.closed
    path.loop.advance(20)
    assert client.closed


# TLS that is told apart by the name it asks for.

BY_NAME = TcpRoute((WeightedCluster("outbound|443||named"),), sni=("a.example",))


def by_name(application: Application = Application.TCP, **changes: object) -> DataPath:
    clusters = [a_cluster(), a_cluster("outbound|443||named", "10.0.0.9:443")]
    facts: dict[str, object] = {
        "clusters": clusters,
        "application": application,
        "tcp": TO_SHOP,
        "rules": (BY_NAME,),
        "route_config": "80" if application is Application.DETECT else "",
        **changes,
    }
    return DataPath(outbound(**facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "address"),
    [("A.example", "10.0.0.9:443"), ("b.example", "10.0.0.1:80"), (None, "10.0.0.1:80")],
)
@pytest.mark.parametrize("application", [Application.TCP, Application.DETECT])
def test_tls_is_routed_by_name_and_passed_on_as_it_came(
    application: Application, name: str | None, address: str
) -> None:
    path = by_name(application)
    client = path.connect()
    hello = real_hello(name)
    client.receive(hello[:20])
    assert path.dials() == []
    client.receive(hello[20:])
    assert path.dials() == [address]
    server = path.dialled()
    assert server.take() == hello
    client.receive(b"more")
    assert server.take() == b"more"


def test_the_log_has_the_name() -> None:
    log = AccessLog("/log", "%REQUESTED_SERVER_NAME% %UPSTREAM_CLUSTER%")
    path = by_name(access_logs=(log,))
    client = path.connect()
    client.receive(real_hello("a.example"))
    path.dialled()
    client.lose()
    assert path.lines == ["a.example outbound|443||named\n"]


@pytest.mark.parametrize("data", [b"\x00\x01", b"\x16\x03\x01\x00\x05hello"])
def test_what_is_no_hello_goes_where_no_name_goes(data: bytes) -> None:
    path = by_name()
    client = path.connect()
    client.receive(data)
    assert path.dials() == ["10.0.0.1:80"]
    assert path.dialled().take() == data


def test_a_silent_tls_client_is_waited_for() -> None:
    path = by_name()
    client = path.connect()
    path.loop.advance(4)
    assert path.dials() == []
    client.receive(real_hello("a.example"))
    assert path.dials() == ["10.0.0.9:443"]


def test_half_a_hello_is_not_waited_for_for_ever() -> None:
    path = by_name()
    client = path.connect()
    half = real_hello("a.example")[:50]
    client.receive(half)
    path.loop.advance(6)
    assert path.dials() == ["10.0.0.1:80"]
    assert path.dialled().take() == half


def test_a_tls_client_that_ends_before_its_hello() -> None:
    path = by_name()
    client = path.connect()
    client.end()
    assert path.dials() == ["10.0.0.1:80"]
    assert path.dialled().eof_written


def test_a_hello_that_is_too_large_has_no_name() -> None:
    hello = real_hello("a.example")
    path = by_name(settings=Settings(max_client_hello_bytes=len(hello) - 5 - 1))
    client = path.connect()
    client.receive(hello)
    assert path.dials() == ["10.0.0.1:80"]
    path = by_name(settings=Settings(max_client_hello_bytes=len(hello) - 5))
    client = path.connect()
    client.receive(hello)
    assert path.dials() == ["10.0.0.9:443"]


def test_a_late_tls_client_does_not_use_what_was_dialled_for_a_silent_one() -> None:
    path = by_name(Application.DETECT)
    client = path.connect()
    path.loop.advance(1)
    speculative = path.dialled()
    client.receive(real_hello("a.example"))
    assert speculative.closed
    assert path.dials() == ["10.0.0.9:443"]
