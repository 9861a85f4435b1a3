"""gRPC calls as transcripts: whatever is answered here is in gRPC's form, and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote

import pytest

from meshproxy.base.errors import TABLE, Kind, ProxyError
from meshproxy.model.cluster import UpstreamHttp
from meshproxy.model.route import DirectResponse, Forward, Redirect, WeightedCluster
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.telemetry import AccessLog
from meshproxy.serve.local import error_answer
from meshproxy.telemetry.metrics import HTTP_LABELS
from meshproxy.wire.heads import HTTP2, RequestHead
from tests.support import frames
from tests.support.fakes import FakeTransport
from tests.support.frames import (
    ACK,
    END_HEADERS,
    OK,
    PREFACE,
    SETTINGS,
    cut,
    data,
    decoded,
    frame,
    headers,
)
from tests.support.models import a_cluster, a_host, a_route, inbound, outbound
from tests.support.path import DataPath

LOG = AccessLog("/log", text="%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%")
CLUSTER = "outbound|80|v1|shop"
Lines = list[tuple[bytes, bytes]]


@pytest.fixture(params=["fast", "h11"])
def codec(request: pytest.FixtureRequest) -> str:
    """With HTTP/1 codecs come HTTP/2's: our own, and the reference."""
    return str(request.param)


def call(path: bytes = b"/a.B/C", *more: tuple[bytes, bytes]) -> Lines:
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"shop"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc+proto"),
        *more,
    ]


def connect(path: DataPath, to: str = "10.1.1.1:80", listener: str = "out") -> FakeTransport:
    client = path.connect(to, listener)
    client.receive(PREFACE + frames.settings() + frame(SETTINGS, ACK))
    client.take()
    return client


def answered(client: FakeTransport) -> Lines:
    """The headers of the one answer: there is nothing besides them, but for a reset without an
    error where the request had not ended."""
    sent = [each for each in cut(client.take()) if each[0] not in (SETTINGS, frames.WINDOW)]
    assert [(kind, flags) for kind, flags, *_ in sent[:1]] == [(frames.HEADERS, 0x5)]
    assert [(kind, payload) for kind, _, _, payload in sent[1:]] in ([], [(frames.RST, bytes(4))])
    return decoded(sent[0][3])


def upstream(path: DataPath) -> FakeTransport:
    server = path.dialled()
    server.receive(frames.settings() + frame(SETTINGS, ACK))
    server.take()
    return server


# Answers that are made here.


def routed(action: object) -> Snapshot:
    return outbound([a_host(a_route(action=action))], access_logs=(LOG,))


def forward(timeout: float = 0.0) -> Forward:
    return Forward((WeightedCluster(CLUSTER),), timeout=timeout)


@dataclass(frozen=True)
class Case:
    snapshot: Snapshot
    status: int
    message: str
    log: str
    lines: Lines
    then: Callable[[DataPath], object] = lambda path: None


CASES = {
    "no route": Case(
        outbound([a_host(a_route(prefix="/other"))], access_logs=(LOG,)),
        12,
        "no route matches this request: 0.0.0.0_80, host 'shop' (NR)",
        "200 NR route_not_found",
        call(),
    ),
    "no cluster": Case(
        outbound([a_host(a_route("outbound|80||gone"))], access_logs=(LOG,)),
        14,
        "the route's destination does not exist: there is no outbound|80||gone (NC)",
        "200 NC cluster_not_found",
        call(),
    ),
    "an unknown host": Case(
        outbound(allow_any=False, access_logs=(LOG,)),
        14,
        "the outbound traffic policy refuses unknown hosts: "
        "outboundTrafficPolicy is REGISTRY_ONLY and no service has this host",
        "200 - direct_response",
        [(n, b"unknown.example" if n == b":authority" else v) for n, v in call()],
    ),
    "no endpoint": Case(
        outbound(
            clusters=[replace(a_cluster(CLUSTER), endpoints=())],
            access_logs=(LOG,),
        ),
        14,
        f"no healthy upstream: {CLUSTER} has no endpoint (UH)",
        "200 UH no_healthy_upstream",
        call(),
    ),
    "a connection that is refused": Case(
        routed(forward()),
        14,
        "upstream connect error or disconnect/reset before headers. reset reason: "
        "remote connection failure: connection refused (UF)",
        "200 UF upstream_reset_before_response_started{remote_connection_failure}",
        call(),
        lambda path: path.refused(),
    ),
    "an upstream that closes": Case(
        routed(forward()),
        14,
        "upstream connect error or disconnect/reset before headers. reset reason: "
        "connection termination: the upstream closed the connection (UC)",
        "200 UC upstream_reset_before_response_started{connection_termination}",
        call(),
        lambda path: upstream(path).lose(),
    ),
    "an upstream that resets": Case(
        routed(forward()),
        14,
        "upstream connect error or disconnect/reset before headers. reset reason: "
        "remote reset: reset with error code 2 (UR)",
        "200 UR upstream_reset_before_response_started{remote_reset}",
        call(),
        lambda path: upstream(path).receive(frames.rst(1, 2)),
    ),
    "a route's timeout": Case(
        routed(forward(timeout=2.0)),
        4,
        "upstream request timeout (UT)",
        "200 UT response_timeout",
        call(),
        lambda path: upstream(path) and path.loop.advance(2.1),
    ),
    "the caller's own": Case(
        routed(forward()),
        4,
        "upstream request timeout (UT)",
        "200 UT response_timeout",
        call(b"/a.B/C", (b"grpc-timeout", b"100m")),
        lambda path: path.loop.advance(0.2),
    ),
    "a path that is none": Case(
        routed(forward()),
        13,
        "the request's path is not a path",
        "200 - path_normalization_failed",
        call(b"/a%00"),
    ),
    "too many headers": Case(
        routed(forward()),
        8,
        "request headers too large: more than 100 headers (DPE)",
        "200 DPE http2.too_many_headers",
        call(b"/a.B/C", *[(b"x-%d" % at, b"v") for at in range(101)]),
    ),
    "a direct response": Case(
        routed(DirectResponse(429, b"not now: 100% \xc3\xbc{}|~`^\\\n")),
        14,
        "not now: 100%25 %C3%BC{}|~`^\\%0A",
        "200 - direct_response",
        call(),
    ),
    "a status that gRPC has no word for": Case(
        routed(DirectResponse(413, b"too much")),
        2,
        "too much",
        "200 - direct_response",
        call(),
    ),
    "a status alone": Case(
        routed(DirectResponse(401, b"")), 16, "", "200 - direct_response", call()
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "while it is sent"])
def test_local_answers(codec: str, case: str, whole: bool) -> None:
    found = CASES[case]
    path = DataPath(replace(found.snapshot, clusters=http2(found.snapshot)), codec)
    client = connect(path)
    client.receive(headers(1, found.lines, 0x5 if whole else END_HEADERS))
    if case == "a route's timeout" and not whole:
        client.receive(data(1, b"", 1))  # which counts from the request's last byte
    found.then(path)
    told = dict(answered(client))
    assert told[b":status"] == b"200"
    assert told[b"content-type"] == b"application/grpc"
    assert told[b"grpc-status"] == b"%d" % found.status
    assert told.get(b"grpc-message", b"").decode() == found.message
    assert b"content-length" not in told
    assert path.lines == [found.log + "\n"]
    assert labels(path) == [("grpc", "200", str(found.status), found.log.split()[1])]


def http2(snapshot: Snapshot) -> dict[str, object]:
    """The service speaks HTTP/2."""
    return {
        name: replace(cluster, http=UpstreamHttp.HTTP2) if name == CLUSTER else cluster
        for name, cluster in snapshot.clusters.items()
    }


def labels(path: DataPath) -> list[tuple[str, ...]]:
    """Protocol, code, gRPC status and flags of each series."""
    wanted = ("request_protocol", "response_code", "grpc_response_status", "response_flags")
    at = [HTTP_LABELS.index(name) for name in wanted]
    return [tuple(found[each] for each in at) for found in path.counters._http]


@pytest.mark.parametrize("kind", [kind for kind in Kind if TABLE[kind].status])
def test_each_kind_of_failure_has_its_form(kind: Kind) -> None:
    """Those that nothing here brings about, too."""
    fields = {b"content-type": b"application/grpc"}
    head = RequestHead(b"POST", b"/a.B/C", b"shop", HTTP2, list(fields.items()), fields)
    answer, body = error_answer(ProxyError(kind, "because: 1 %"), head)
    assert (answer.status, answer.length, body) == (200, 0, b"")
    assert answer.fields[b"content-type"] == b"application/grpc"
    assert answer.fields[b"grpc-status"] == b"%d" % TABLE[kind].grpc
    told = unquote(answer.fields[b"grpc-message"].decode())
    assert told == ProxyError(kind, "because: 1 %").body().decode()


def test_what_a_policy_refuses(codec: str) -> None:
    path = DataPath(inbound(access_logs=(LOG,), deny="nobody is let in"), codec)
    client = connect(path, "10.0.0.1:8080", "in")
    client.receive(headers(1, call()))
    told = dict(answered(client))
    assert (told[b":status"], told[b"grpc-status"]) == (b"200", b"7")
    assert told[b"grpc-message"] == b"RBAC: access denied"
    assert labels(path) == [("grpc", "200", "7", "-")]


def test_a_redirect_tells_where_all_the_same(codec: str) -> None:
    """As Envoy has it; gRPC clients follow none."""
    path = DataPath(routed(Redirect(uri="/b", authority="else")), codec)
    client = connect(path)
    client.receive(headers(1, call()))
    told = dict(answered(client))
    assert (told[b":status"], told[b"grpc-status"]) == (b"200", b"2")
    assert told[b"location"] == b"http://else/b"
    assert b"grpc-message" not in told


def test_headers_that_are_too_large() -> None:
    """What came of them tells that it was gRPC. The library ends the connection."""
    path = DataPath(routed(forward()), "fast")
    client = connect(path)
    large = [(b"x-%d" % at, b"v" * 3000) for at in range(22)]
    client.receive(blocks(1, large))
    told = dict(answered(client))
    assert (told[b":status"], told[b"grpc-status"]) == (b"200", b"8")
    assert path.lines == ["200 DPE http2.headers_too_large\n"]
    client.receive(headers(3, call()))
    assert path.dials() == ["10.0.0.1:80"], "the connection goes on"


def blocks(stream: int, more: Lines) -> bytes:
    """A request in as many frames as it needs."""
    block = frames.block(call(b"/a.B/C", *more))
    pieces = [block[at : at + 16_384] for at in range(0, len(block), 16_384)]
    sent = frame(frames.HEADERS, 0x1, stream, pieces[0])
    for piece in pieces[1:-1]:
        sent += frame(frames.CONTINUATION, 0, stream, piece)
    return sent + frame(frames.CONTINUATION, END_HEADERS, stream, pieces[-1])


def test_others_are_answered_in_http(codec: str) -> None:
    path = DataPath(routed(forward()), codec)
    client = connect(path)
    lines = [pair for pair in call() if pair[0] != b"content-type"]
    kind = (b"content-type", b"application/grpc-web+proto")
    client.receive(headers(1, [*lines, kind, *[(b"x-%d" % at, b"v") for at in range(101)]]))
    sent = cut(client.take())
    told = dict(decoded(sent[0][3]))
    assert (told[b":status"], told[b"content-type"]) == (b"431", b"text/plain")
    assert sent[1][3] == b"request headers too large: more than 100 headers (DPE)"
    assert labels(path) == [("http", "431", "", "DPE")]


# What the upstream says.


ENDS = {
    "trailers": (
        headers(1, OK, END_HEADERS) + data(1, b"m") + headers(1, [(b"grpc-status", b"5")]),
        "5",
        "-",
    ),
    "trailers that say nothing": (
        headers(1, OK, END_HEADERS) + data(1, b"m") + headers(1, [(b"x-sum", b"1")]),
        "2",
        "-",
    ),
    "nonsense": (headers(1, OK, END_HEADERS) + headers(1, [(b"grpc-status", b"x")]), "2", "-"),
    "trailers only": (headers(1, [*OK, (b"grpc-status", b"7")]), "7", "-"),
    "no trailers": (headers(1, OK, END_HEADERS) + data(1, b"m", 1), "2", "-"),
    "an answer in HTTP": (headers(1, [(b":status", b"404")]), "12", "-"),
    "a reset": (headers(1, OK, END_HEADERS) + data(1, b"m") + frames.rst(1, 2), "14", "UR"),
}


@pytest.mark.parametrize("end", ENDS)
def test_how_calls_end(codec: str, end: str) -> None:
    sent, status, flags = ENDS[end]
    found = routed(forward())
    path = DataPath(replace(found, clusters=http2(found)), codec)
    client = connect(path)
    client.receive(headers(1, call()))
    upstream(path).receive(sent)
    code = "404" if end == "an answer in HTTP" else "200"
    assert labels(path) == [("grpc", code, status, flags)]
    if end == "a reset":
        assert frames.resets(client.take()) == [(1, 2)]
        details = "upstream_reset_after_response_started{remote_reset}"
        assert path.lines == [f"200 UR {details}\n"]


@pytest.mark.parametrize("asked", [b"99999999H", b"1S", b"100000000S", b"nonsense", b"-1S", b"0S"])
def test_what_a_caller_asks_for_is_passed_on_as_it_is(codec: str, asked: bytes) -> None:
    """Where no route bounds it; what can't be read bounds nothing here."""
    found = routed(forward())
    path = DataPath(replace(found, clusters=http2(found)), codec)
    client = connect(path)
    client.receive(headers(1, call(b"/a.B/C", (b"grpc-timeout", asked))))
    server = path.dialled()
    lines = dict(decoded(next(p for k, _, _, p in cut(server.take()) if k == frames.HEADERS)))
    assert lines[b"grpc-timeout"] == asked
    path.loop.advance(30)
    assert bool(cut(client.take())) == (asked == b"1S")
