"""Inbound connections that begin by saying whose they are, through the data path in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshproxy.base.addr import Address
from meshproxy.model.listener import Application
from meshproxy.model.policy import Policy, Rule, Term
from meshproxy.model.settings import ProxyProtocol, Settings
from meshproxy.model.telemetry import AccessLog
from meshproxy.wire.proxy_protocol import Ends, write_header
from tests.support.fakes import FakeTransport
from tests.support.models import a_workload, inbound
from tests.support.path import DataPath

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLIENT = Ends(Address("203.0.113.7", 51000), Address("198.51.100.1", 443))
HEADERS = [write_header(1, CLIENT), write_header(2, CLIENT)]
REQUIRED = ProxyProtocol(required=(8080,), trusted=("10.0.0.0/24",))
OPTIONAL = ProxyProtocol(optional=(8080,), trusted=("10.0.0.0/24",))
LOG = AccessLog(
    text="%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS% "
    "%DOWNSTREAM_LOCAL_ADDRESS% %RESPONSE_CODE%",
    path="/log",
)
REFUSED = "meshproxy_connections_refused_total"


def place(
    wanted: ProxyProtocol = REQUIRED, application: Application = Application.HTTP, **facts: object
) -> DataPath:
    settings = Settings(proxy_protocol=wanted)
    return DataPath(inbound(application, settings=settings, access_logs=(LOG,), **facts))  # type: ignore[arg-type]


def arrive(path: DataPath, client: str = "10.0.0.9", port: int = 8080) -> FakeTransport:
    return path.connect(f"10.0.0.1:{port}", "in", client)


def served(path: DataPath, client: FakeTransport) -> bool:
    path.dialled().receive(OK)
    return client.take().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("wanted", [REQUIRED, OPTIONAL], ids=["required", "optional"])
@pytest.mark.parametrize("header", HEADERS, ids=["v1", "v2"])
@pytest.mark.parametrize("cut", [0, 1, 7, 27, 200])
def test_the_client_is_the_one_that_is_told(wanted: ProxyProtocol, header: bytes, cut: int) -> None:
    path = place(wanted)
    client = arrive(path)
    for piece in ((header + GET)[:cut], (header + GET)[cut:]):
        if piece:
            client.receive(piece)
    assert served(path, client)
    assert path.lines == ["203.0.113.7:51000 10.0.0.9:4242 10.0.0.1:8080 200\n"]
    client.receive(GET)  # it holds for the whole connection
    assert client.written == b""
    assert path.limits.open == 1
    client.lose()
    assert path.limits.open == 0


def test_other_ports_know_nothing_of_it() -> None:
    path = place(ProxyProtocol(required=(8081,), trusted=("10.0.0.0/24",)))
    client = arrive(path)
    client.receive(HEADERS[0] + GET)
    assert client.take().startswith(b"HTTP/1.1 400")


def test_metrics_name_the_workload_at_the_address_that_is_told() -> None:
    peers = {"203.0.113.7": a_workload("front-v3"), "10.0.0.9": a_workload("lb-v1")}
    path = place(peers=peers)
    client = arrive(path)
    client.receive(HEADERS[1] + GET)
    assert served(path, client)
    (key,) = path.counters._http
    assert "front-v3" in repr(key)


@pytest.mark.parametrize(
    "header", [b"PROXY UNKNOWN\r\n", b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"]
)
def test_a_proxy_that_speaks_for_itself(header: bytes) -> None:
    path = place()
    client = arrive(path)
    client.receive(header + GET)
    assert served(path, client)
    assert path.lines == ["10.0.0.9:4242 10.0.0.9:4242 10.0.0.1:8080 200\n"]


@pytest.mark.parametrize(
    "data", [GET, b"\x16\x03\x01", b"PROXY TCP4 x\r\n", HEADERS[1][:12] + b"\x31", b"PROXY \r\n"]
)
def test_no_header_or_a_broken_one_is_refused(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = place()
    client = arrive(path)
    client.receive(data)
    assert client.aborted
    assert path.plain(REFUSED, "in", "proxy_protocol") == 1
    assert "refused 10.0.0.9:4242 on its way to 10.0.0.1:8080: " in caplog.text
    assert path.dials() == []
    client.lose()
    assert path.limits.open == 0
    assert not path.serving.connections


@pytest.mark.parametrize("begun", [b"", b"PROXY TCP4"])
def test_a_header_that_does_not_come_is_not_waited_for(begun: bytes) -> None:
    path = place()
    client = arrive(path)
    if begun:
        client.receive(begun)
    path.loop.advance(4.9)
    assert not client.aborted
    path.loop.advance(0.2)
    assert client.aborted
    assert path.plain(REFUSED, "in", "proxy_protocol") == 1


@pytest.mark.parametrize("address", ["10.0.1.9", "fd00::9"])
def test_who_is_not_trusted_can_not_come_in_where_it_is_required(address: str) -> None:
    path = place()
    client = arrive(path, address)
    assert client.aborted
    assert path.plain(REFUSED, "in", "proxy_protocol_untrusted") == 1
    client.lose()
    assert path.limits.open == 0


def test_who_is_not_trusted_is_not_believed_where_it_is_optional() -> None:
    path = place(OPTIONAL)
    client = arrive(path, "10.0.1.9")
    client.receive(GET)
    assert served(path, client)
    client = arrive(path, "10.0.1.9")
    client.receive(HEADERS[0] + GET)
    assert client.take().startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("wait", [0.0, 3.0])
def test_optional_means_that_it_may_be_missing(wait: float) -> None:
    path = place(OPTIONAL)
    client = arrive(path)
    path.loop.advance(wait)
    client.receive(GET)
    assert served(path, client)
    assert path.lines == ["10.0.0.9:4242 10.0.0.9:4242 10.0.0.1:8080 200\n"]


def test_a_client_of_http_may_take_its_time_for_the_header() -> None:
    path = place(OPTIONAL)
    client = arrive(path)
    path.loop.advance(3)
    client.receive(HEADERS[0] + GET)
    assert served(path, client)
    assert path.lines[0].startswith("203.0.113.7:51000 ")


def test_a_beginning_that_stays_undecided_is_none() -> None:
    path = place(OPTIONAL, Application.TCP)
    client = arrive(path)
    client.receive(b"PRO")
    path.loop.advance(5.2)
    assert path.dialled().take() == b"PRO"


def test_a_broken_header_is_refused_where_it_is_optional_too() -> None:
    path = place(OPTIONAL)
    client = arrive(path)
    client.receive(b"PROXY TCP4 \r\n")
    assert client.aborted


@pytest.mark.parametrize("application", [Application.TCP, Application.DETECT])
def test_a_server_may_speak_first(application: Application) -> None:
    path = place(OPTIONAL, application)
    client = arrive(path)
    path.loop.advance(0.3)
    server = path.dialled()
    server.receive(b"220 hello\r\n")
    assert client.take() == b"220 hello\r\n"
    client.receive(b"EHLO x\r\n")
    assert server.take() == b"EHLO x\r\n"


@pytest.mark.parametrize("application", [Application.TCP, Application.DETECT])
@pytest.mark.parametrize("wanted", [REQUIRED, OPTIONAL], ids=["required", "optional"])
def test_opaque_connections(application: Application, wanted: ProxyProtocol) -> None:
    path = place(wanted, application)
    client = arrive(path)
    client.receive(HEADERS[1] + b"\x00hello")
    server = path.dialled()
    assert server.take() == b"\x00hello"
    server.receive(b"answer")
    assert client.take() == b"answer"
    client.lose()
    assert path.lines == ["203.0.113.7:51000 10.0.0.9:4242 10.0.0.1:8080 0\n"]


@pytest.mark.parametrize(("wanted", "dials"), [(REQUIRED, 0), (OPTIONAL, 1)])
def test_a_client_that_only_ends_its_side(wanted: ProxyProtocol, dials: int) -> None:
    path = place(wanted, Application.TCP)
    client = arrive(path)
    client.end()
    assert len(path.dials()) == dials
    assert client.closed == (not dials)
    if dials:
        assert path.dialled().eof_written


def test_it_comes_before_mutual_tls() -> None:
    path = place(mtls=True, refuse_plaintext="PeerAuthentication default/strict")
    client = arrive(path)
    client.receive(HEADERS[0] + GET)
    assert client.aborted
    assert path.plain(REFUSED, "in", "plaintext") == 1


def test_draining_does_not_wait_for_a_header() -> None:
    path = place(OPTIONAL)
    client = arrive(path)
    (connection,) = path.serving.connections
    path.loop.advance(1)
    connection.drain()
    assert client.closed
    client.lose()
    assert not path.serving.connections


@pytest.mark.parametrize(
    ("field", "block", "status"),
    [
        ("ipBlocks", "10.0.0.9", b"200"),
        ("ipBlocks", "203.0.113.7", b"403"),
        ("remoteIpBlocks", "203.0.113.7", b"200"),
        ("remoteIpBlocks", "10.0.0.9", b"403"),
    ],
)
def test_policies_know_both_addresses(field: str, block: str, status: bytes) -> None:
    """Istio: `ipBlocks` are those of the IP packet, `remoteIpBlocks` of whom the header names."""
    rule = Rule(sources=((Term(field, (block,)),),))
    policy = Policy("default", "p", rules=(rule,))
    snapshot = inbound(settings=Settings(proxy_protocol=REQUIRED))
    path = DataPath(replace(snapshot, authorization=(policy,)))
    client = arrive(path)
    client.receive(HEADERS[1] + GET)
    if status == b"200":
        path.dialled().receive(OK)
    assert client.take().startswith(b"HTTP/1.1 " + status)


def test_a_new_plan_asks_the_next_connections() -> None:
    path = place(ProxyProtocol())
    before = arrive(path)
    path.configure(inbound(settings=Settings(proxy_protocol=REQUIRED)))
    before.receive(GET)
    assert served(path, before), "it began under the old one"
    after = arrive(path)
    after.receive(GET)
    assert after.aborted
