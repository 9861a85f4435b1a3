"""A request's life, as transcripts: bytes in on one side, bytes out on the other."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import ClusterKind
from meshproxy.model.route import (
    DirectResponse,
    Forward,
    HeaderOps,
    Redirect,
    Rewrite,
    WeightedCluster,
)
from tests.support.fakes import Draws, FakeTransport
from tests.support.models import a_cluster, a_host, a_route, inbound, outbound
from tests.support.path import DataPath

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Request-Id: r\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: now\r\n\r\nok"


@pytest.fixture(params=["fast", "h11"])
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def head_and_body(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """First line, header lines, body."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return first, lines, body


def status(client: FakeTransport) -> int:
    return int(client.written.split(b" ")[1])


def test_a_request_and_its_answer(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(GET)
    assert path.dials() == ["10.0.0.1:80"]
    server = path.dialled()
    first, lines, _ = head_and_body(server.take())
    assert first == b"GET /a HTTP/1.1"
    assert lines == [
        b"Host: shop",
        b"X-Request-Id: r",
        b"x-forwarded-proto: http",
        b"x-envoy-attempt-count: 1",
    ]
    server.receive(OK)
    first, lines, body = head_and_body(client.take())
    assert (first, body) == (b"HTTP/1.1 200 OK", b"ok")
    assert lines == [
        b"Content-Length: 2",
        b"Date: now",
        b"server: envoy",
        b"x-envoy-upstream-service-time: 0",
    ]
    assert (client.writes, server.writes) == (1, 1)


def test_connections_are_used_again_on_both_sides(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(GET)
    server = path.dialled()
    for _ in range(3):
        server.take()
        server.receive(OK)
        assert client.take().endswith(b"ok")
        client.receive(GET)
        assert path.dials() == []
        assert server.written.startswith(b"GET /a")


def test_pipelined_requests_are_answered_in_order(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(GET + GET.replace(b"/a", b"/b") + GET.replace(b"/a", b"/c"))
    server = path.dialled()
    for name in (b"/a", b"/b", b"/c"):
        assert server.take().startswith(b"GET " + name)
        server.receive(OK)
        assert client.take().endswith(b"ok")


def test_bodies_stream_both_ways_as_they_come(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 6\r\n\r\nab")
    server = path.dialled()
    assert server.take().endswith(b"\r\n\r\nab")
    client.receive(b"cd")
    assert server.take() == b"cd"
    client.receive(b"ef")
    assert server.take() == b"ef"
    server.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert client.take().endswith(b"3\r\nabc\r\n")
    server.receive(b"1\r\nd\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert client.take() == b"1\r\nd\r\n0\r\nX-Sum: 1\r\n\r\n"


def test_a_chunked_request_keeps_its_trailers(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(
        b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
    )
    server = path.dialled()
    sent = server.take()
    assert b"transfer-encoding: chunked" in sent
    assert sent.endswith(b"2\r\nab\r\n")
    client.receive(b"0\r\nX-Sum: 9\r\n\r\n")
    assert server.take() == b"0\r\nX-Sum: 9\r\n\r\n"


@pytest.mark.parametrize(
    ("side", "stops"), [("client", "server"), ("server", "client")], ids=["down", "up"]
)
def test_a_slow_reader_stops_the_sender(side: str, stops: str) -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nab")
    server = path.dialled()
    server.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
    ends = {"client": client, "server": server}
    ends[side].fill()
    assert not ends[stops].reading
    assert ends[side].reading
    ends[side].empty()
    assert ends[stops].reading


def test_a_reader_that_was_slow_before_there_was_a_sender_stops_it() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    client.fill()
    server = path.dialled()
    assert not server.reading
    client.empty()
    assert server.reading


def test_interim_answers_pass(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(
        b"POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    server = path.dialled()
    assert b"Expect: 100-continue" in server.take()
    server.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.receive(b"ab")
    assert server.take() == b"ab"
    server.receive(OK)
    assert client.take().endswith(b"ok")


def test_an_upgrade_becomes_a_tunnel_with_half_close(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n")
    server = path.dialled()
    sent = server.take()
    assert b"connection: upgrade\r\nupgrade: foo" in sent
    server.receive(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\nhi"
    )
    first, lines, body = head_and_body(client.take())
    assert first.startswith(b"HTTP/1.1 101")
    assert {b"connection: upgrade", b"upgrade: foo"} <= set(lines)
    assert body == b"hi"
    client.receive(b"\x01\x02")
    assert server.take() == b"\x01\x02"
    client.end()
    assert server.eof_written
    assert not client.closed
    server.receive(b"bye")
    assert client.take() == b"bye"
    server.end()
    assert client.closed
    assert path.serving.connections


def test_a_refused_upgrade_is_an_ordinary_answer(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n")
    server = path.dialled()
    server.receive(OK)
    assert client.take().endswith(b"ok")
    client.receive(GET)
    assert path.dials() == []
    assert server.take().endswith(b"x-envoy-attempt-count: 1\r\n\r\n")


def test_http_1_0_clients_get_what_they_understand(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(b"GET / HTTP/1.0\r\nHost: shop\r\n\r\n")
    server = path.dialled()
    assert server.take().startswith(b"GET / HTTP/1.1\r\n")
    server.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    _, lines, body = head_and_body(client.take())
    assert body == b"ok"
    assert b"connection: close" in lines
    assert client.closed


def test_an_http_1_0_client_may_keep_its_connection(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(b"GET / HTTP/1.0\r\nHost: shop\r\nConnection: keep-alive\r\n\r\n")
    server = path.dialled()
    server.receive(OK)
    assert b"connection: keep-alive" in client.take()
    assert not client.closed


def test_an_answer_that_lasts_until_close_is_chunked_on(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(GET)
    server = path.dialled()
    server.receive(b"HTTP/1.0 200 OK\r\n\r\nabc")
    assert b"transfer-encoding: chunked" in client.written
    assert client.take().endswith(b"3\r\nabc\r\n")
    server.end()
    assert client.take() == b"0\r\n\r\n"
    assert not client.closed


def test_head_has_no_body(codec: str) -> None:
    path = DataPath(outbound(), codec)
    client = path.connect()
    client.receive(GET.replace(b"GET", b"HEAD"))
    server = path.dialled()
    server.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
    assert client.take().endswith(b"\r\n\r\n")
    client.receive(GET)
    assert path.dials() == []


# Failures.


def test_a_refused_connection() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    path.refused()
    assert status(client) == 503
    assert b"connection refused (UF)" in client.take()
    assert not client.closed


def test_an_answer_that_is_not_http() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    server = path.dialled()
    server.receive(b"SSH-2.0-OpenSSH\r\n\r\n")
    assert status(client) == 502
    assert client.take().endswith(b"(UPE)")
    assert server.aborted


def test_an_upstream_that_goes_without_an_answer() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    path.dialled().lose()
    assert status(client) == 503
    assert b"closed without an answer (UC)" in client.take()


def test_an_upstream_that_goes_in_the_middle_cuts_the_client_off() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    server = path.dialled()
    server.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
    client.take()
    server.lose()
    assert client.aborted


def test_the_keep_alive_race_is_run_again_once_it_is_safe() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    old = path.dialled()
    old.receive(OK)
    client.take()
    client.receive(GET)
    old.lose(ConnectionResetError())
    assert client.written == b""
    new = path.dialled()
    assert new.take().startswith(b"GET /a")
    new.receive(OK)
    assert status(client) == 200
    assert path.plain("meshproxy_request_resends_total") == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(GET.replace(b"GET", b"POST"), id="not idempotent"),
        pytest.param(
            b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nab", id="with a body"
        ),
    ],
)
def test_what_is_not_safe_is_not_sent_twice(request_bytes: bytes) -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    old = path.dialled()
    old.receive(OK)
    client.take()
    client.receive(request_bytes)
    assert old.take()
    old.lose()
    assert path.dials() == []
    assert status(client) == 503


def test_nothing_is_sent_twice_after_a_byte_came_back() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    old = path.dialled()
    old.receive(OK)
    client.take()
    client.receive(GET)
    old.receive(b"HTTP/1.1 2")
    old.lose()
    assert path.dials() == []
    assert status(client) == 503


def test_a_fresh_connection_is_not_tried_again() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    path.dialled().lose()
    assert path.dials() == []
    assert status(client) == 503


def test_the_route_timeout_counts_from_the_end_of_the_request() -> None:
    route = a_route(action=Forward((WeightedCluster("outbound|80|v1|shop"),), timeout=2.0))
    path = DataPath(outbound([a_host(route)]))
    client = path.connect()
    client.receive(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\na")
    server = path.dialled()
    assert b"x-envoy-expected-rq-timeout-ms: 2000" in server.take()
    path.loop.advance(60)
    assert client.written == b""
    client.receive(b"b")
    path.loop.advance(1.9)
    assert client.written == b""
    path.loop.advance(0.2)
    assert status(client) == 504
    assert b"upstream request timeout (UT)" in client.take()
    assert server.aborted


GRPC = (
    b"POST /a.B/C HTTP/1.1\r\nHost: shop\r\nContent-Type: application/grpc\r\n"
    b"grpc-timeout: %b\r\nContent-Length: 2\r\n\r\na"
)


def test_a_grpc_callers_deadline_counts_from_the_beginning() -> None:
    """As Envoy has it with Istio's `grpc_timeout_header_max` of 0s."""
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GRPC % b"2S")
    server = path.dialled()
    assert b"grpc-timeout: 2S" in server.take()
    path.loop.advance(1.9)
    assert client.written == b""
    path.loop.advance(0.2)
    told = client.take()
    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"grpc-status: 4\r\ngrpc-message: upstream request timeout (UT)\r\n" in told
    assert server.aborted


@pytest.mark.parametrize(("asked", "told"), [(b"1S", b"1000m"), (b"1H", b"2000m")])
def test_the_route_timeout_bounds_a_grpc_callers(asked: bytes, told: bytes) -> None:
    route = a_route(action=Forward((WeightedCluster("outbound|80|v1|shop"),), timeout=2.0))
    path = DataPath(outbound([a_host(route)]))
    client = path.connect()
    client.receive(GRPC % asked)
    server = path.dialled()
    sent = server.take()
    assert b"grpc-timeout: " + told in sent
    assert b"x-envoy-expected-rq-timeout-ms: " + told[:-1] in sent
    path.loop.advance(60)
    assert client.written == b"", "the request is not whole"
    client.receive(b"b")
    path.loop.advance(int(told[:-1]) / 1000 + 0.1)
    assert b"grpc-status: 4" in client.take()


def test_grpc_callers_get_a_direct_response_as_a_status() -> None:
    route = a_route(action=DirectResponse(403, b"not you: %"))
    path = DataPath(outbound([a_host(route)]))
    client = path.connect()
    client.receive(GRPC % b"1S")
    told = client.take()
    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"grpc-status: 7\r\ngrpc-message: not you: %25\r\n" in told


def test_a_client_that_leaves_takes_its_request_with_it() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    server = path.dialled()
    client.end()
    assert server.aborted
    client.lose()
    assert path.limits.open == 0


def test_a_client_that_leaves_while_dialling_leaves_a_connection() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    client.end()
    path.dialled()
    other = path.connect()
    other.receive(GET)
    assert path.dials() == []


# Routing.


def test_no_route() -> None:
    path = DataPath(outbound([a_host(a_route(prefix="/only"))]))
    client = path.connect()
    client.receive(GET)
    assert status(client) == 404
    assert b"0.0.0.0_80, host 'shop' (NR)" in client.take()


def test_an_unknown_host_is_passed_through() -> None:
    path = DataPath(outbound())
    client = path.connect("93.184.216.34:80")
    client.receive(GET.replace(b"shop", b"example.com"))
    assert path.dials() == ["93.184.216.34:80"]


def test_an_unknown_host_is_refused_where_the_policy_says_so() -> None:
    path = DataPath(outbound(allow_any=False))
    client = path.connect("93.184.216.34:80")
    client.receive(GET.replace(b"shop", b"example.com"))
    assert status(client) == 502
    assert path.dials() == []


def test_a_plain_port_has_nowhere_to_pass_on_to() -> None:
    path = DataPath(outbound(captured=False))
    client = path.connect()
    client.receive(GET.replace(b"shop", b"example.com"))
    assert status(client) == 502
    assert b"no original destination" in client.take()


@pytest.mark.parametrize(
    ("clusters", "code", "flag"),
    [
        pytest.param([a_cluster("other")], 503, b"(NC)", id="no such cluster"),
        pytest.param([a_cluster(endpoints=())], 503, b"(UH)", id="no endpoint"),
        pytest.param([a_cluster(refusal="TLS is not done")], 503, b"(UF)", id="refusal"),
    ],
)
def test_clusters_that_can_not_be_used(clusters: list, code: int, flag: bytes) -> None:  # type: ignore[type-arg]
    path = DataPath(outbound(clusters=clusters))
    client = path.connect()
    client.receive(GET)
    assert status(client) == code
    assert client.take().endswith(flag)


def test_weights() -> None:
    arms = (WeightedCluster("outbound|80|v1|shop", 90), WeightedCluster("outbound|80|v2|shop", 10))
    snapshot = outbound(
        [a_host(a_route(*arms))],
        [a_cluster("outbound|80|v1|shop"), a_cluster("outbound|80|v2|shop", "10.0.0.2:80")],
    )
    path = DataPath(snapshot, draws=Draws(0.0, 0.89, 0.9, 0.999))
    for wanted in ("10.0.0.1:80", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.2:80"):
        path.connect().receive(GET)
        assert path.dials()[-1] == wanted


def test_rewrite_and_header_operations() -> None:
    arm = WeightedCluster(
        "outbound|80|v1|shop",
        request_headers=HeaderOps(set=(("X-Arm", "1"),), remove=("x-gone",)),
        response_headers=HeaderOps(add=(("X-Arm-Answer", "2"),)),
    )
    route = a_route(
        prefix="/a",
        action=Forward((arm,), rewrite=Rewrite("/new", "other.example")),
        request_headers=HeaderOps(add=(("X-Route", "3"),)),
        response_headers=HeaderOps(remove=("content-type",)),
    )
    path = DataPath(outbound([a_host(route)]))
    client = path.connect()
    client.receive(b"GET /a/b?c HTTP/1.1\r\nHost: shop\r\nX-Gone: x\r\nX-Arm: old\r\n\r\n")
    server = path.dialled()
    first, lines, _ = head_and_body(server.take())
    assert first == b"GET /new/b?c HTTP/1.1"
    assert b"host: other.example" in lines
    assert b"x-envoy-original-path: /a/b?c" in lines
    assert [line for line in lines if line.startswith((b"X-", b"Host"))] == [
        b"X-Arm: 1",
        b"X-Route: 3",
    ]
    server.receive(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n")
    _, lines, _ = head_and_body(client.take())
    assert b"X-Arm-Answer: 2" in lines
    assert not [line for line in lines if line.lower().startswith(b"content-type")]


def test_redirect_and_direct_response() -> None:
    routes = (
        a_route(prefix="/old", action=Redirect("/new", "other", port=8080, status=308)),
        a_route(prefix="/teapot", action=DirectResponse(418, b"short and stout")),
    )
    path = DataPath(outbound([a_host(*routes)]))
    client = path.connect()
    client.receive(GET.replace(b"/a", b"/old/x?q"))
    first, lines, _ = head_and_body(client.take())
    assert first.startswith(b"HTTP/1.1 308 ")
    assert b"location: http://other:8080/new?q" in lines
    client.receive(GET.replace(b"/a", b"/teapot"))
    first, _, body = head_and_body(client.take())
    assert first.startswith(b"HTTP/1.1 418 ")
    assert body == b"short and stout"


def test_a_plan_governs_the_next_request_of_an_open_connection() -> None:
    path = DataPath(outbound())
    client = path.connect()
    client.receive(GET)
    server = path.dialled()
    path.configure(outbound(clusters=[a_cluster("outbound|80|v1|shop", "10.0.0.7:80")]))
    server.receive(OK)
    assert status(client) == 200
    client.take()
    client.receive(GET)
    assert path.dials() == ["10.0.0.7:80"]


# Inbound.


def test_inbound_goes_where_it_was_going_from_a_marked_source() -> None:
    path = DataPath(inbound())
    client = path.connect("10.0.0.1:8080", "in")
    client.receive(GET)
    _, ip, port, source, transparent, _ = path.loop.dials[0]
    assert (ip, port, source, transparent) == ("10.0.0.1", 8080, "127.0.0.6", False)
    server = path.dialled()
    assert b"x-envoy-attempt-count" not in server.take()
    server.receive(OK)
    assert b"server: istio-envoy" in client.take()


def test_inbound_over_ipv6() -> None:
    path = DataPath(inbound())
    path.connect("[fd00::1]:8080", "in").receive(GET)
    _, ip, _, source, *_ = path.loop.dials[0]
    assert (ip, source) == ("fd00::1", "::6")


def test_connections_made_in_a_clients_name_are_for_that_client() -> None:
    path = DataPath(inbound(keep_source=True))
    one = path.connect("10.0.0.1:8080", "in", client="10.9.9.1")
    one.receive(GET)
    assert path.loop.dials[0][1:5] == ("10.0.0.1", 8080, "10.9.9.1", True)
    first = path.dialled()
    first.receive(OK)
    assert b"200 OK" in one.take()
    other = path.connect("10.0.0.1:8080", "in", client="10.9.9.2")
    other.receive(GET)
    assert path.loop.dials[0][3] == "10.9.9.2"
    again = path.connect("10.0.0.1:8080", "in", client="10.9.9.1")
    first.take()
    again.receive(GET)
    assert len(path.loop.dials) == 1
    assert first.take().startswith(b"GET ")


def test_the_app_is_not_kept_waiting_on_idle_connections() -> None:
    path = DataPath(inbound())
    client = path.connect("10.0.0.1:8080", "in")
    client.receive(GET)
    server = path.dialled()
    server.receive(OK)
    path.loop.advance(2.9)
    assert not server.closed
    path.loop.advance(1.0)
    assert server.closed


def test_a_denied_workload_answers_as_istio_does() -> None:
    path = DataPath(inbound(deny="AuthorizationPolicy default/p"))
    client = path.connect("10.0.0.1:8080", "in")
    client.receive(GET)
    assert status(client) == 403
    assert client.take().endswith(b"RBAC: access denied")
    assert path.dials() == []


def test_a_headless_service_is_gone_to_where_the_caller_chose() -> None:
    headless = a_cluster(
        "outbound|80|v1|shop", "10.0.0.1:80", "10.0.0.2:80", kind=ClusterKind.ORIGINAL_DST
    )
    path = DataPath(outbound(clusters=[headless]))
    path.connect("10.0.0.2:80").receive(GET)
    assert path.dials() == ["10.0.0.2:80"]
    path.connect("10.9.9.9:80").receive(GET)
    assert path.dials()[1] in ("10.0.0.1:80", "10.0.0.2:80")
