"""gRPC callers of ours and of a real Envoy: the same statuses, messages and deadlines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from meshproxy.wire.grpc import seconds_of
from tests.support import envoy
from tests.support.envoy import EnvoyProcess, bootstrap
from tests.support.http2 import Http2App, Http2Client, Stream
from tests.support.peers import Peer, wait_until
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    plain,
    route_to,
    service,
    subsets,
    workload,
)

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(envoy.program() is None, reason="not installed: Envoy"),
]

STATUSES = (200, 400, 401, 403, 404, 408, 413, 415, 418, 429, 431, 500, 501, 502, 503, 504)
MESSAGE = 'because: 100% "ü" `{|}\\\n'
V1 = route_to("shop", subset="v1")
TIMES = (
    *("1H", "2M", "30S", "1500m", "1500u", "2500u", "1u", "1n", "2000001n", "0S", "0m"),
    *("00000005S", "000000005S", "100000000S", "99999999H", "99999999S", "+5S", "5 S"),
    *("1s", "S", "", "-1S", "1.5S", "5", "1ms", "nonsense", "9" * 40 + "S"),
)
# A deadline that has passed is DEADLINE_EXCEEDED to a gRPC caller, whoever noticed. Envoy tells the
# UNAVAILABLE of gRPC's table for HTTP's 504, which clients may send again.
DIFFERENT = {"/slow": ("14", "4")}


def rules() -> dict[str, Any]:
    http = [
        {
            "match": [{"uri": {"exact": f"/direct/{status}"}}],
            "directResponse": {"status": status, "body": {"string": MESSAGE}},
        }
        for status in STATUSES
    ]
    http += [
        {"match": [{"uri": {"exact": "/empty"}}], "directResponse": {"status": 405}},
        {"match": [{"uri": {"exact": "/redirect"}}], "redirect": {"uri": "/b"}},
        {
            "match": [{"uri": {"exact": "/slow"}}],
            "timeout": "0.2s",
            "rewrite": {"uri": "/hold"},
            "route": [V1],
        },
        {"match": [{"uri": {"prefix": "/five"}}], "timeout": "5s", "route": [V1]},
        {"match": [{"uri": {"exact": "/closed"}}], "route": [route_to("shop", subset="v2")]},
        {"match": [{"uri": {"exact": "/gone"}}], "route": [route_to("shop", subset="v3")]},
        *(
            {"match": [{"uri": {"prefix": path}}], "route": [V1]}
            for path in ("/any", "/trailers", "/reset", "/status")
        ),
    ]
    return istio("VirtualService", "shop", {"hosts": ["shop"], "http": http})


class GrpcEnvoy(EnvoyProcess):
    """``v1`` speaks HTTP/2, nothing listens at ``v2``, and ``v3`` has no endpoint."""

    def __init__(self, app: int, nobody: int) -> None:
        super().__init__(free_port())
        found = bootstrap(self.port, [rules()], {"v1": app, "v2": nobody, "v3": nobody})
        kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        options = {
            "@type": "type.googleapis.com/" + kind,
            "explicit_http_config": {"http2_protocol_options": {}},
        }
        for cluster in found["static_resources"]["clusters"]:
            cluster["typed_extension_protocol_options"] = {kind: options}
        cluster["load_assignment"]["endpoints"] = []
        (chain,) = found["static_resources"]["listeners"][0]["filter_chains"]
        (host,) = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
        for route in host["routes"]:
            if "route" in route:  # Istio: a caller's deadline is bounded by the route's
                route["route"]["max_grpc_timeout"] = route["route"]["timeout"]
        self.configure(found)


@dataclass(frozen=True)
class Both:
    theirs: int
    ours: int
    app: Http2App

    def ask(self, path: str, *headers: tuple[str, str]) -> tuple[Stream, Stream]:
        fields = [("content-type", "application/grpc"), ("te", "trailers"), *headers]
        found = []
        for port in (self.theirs, self.ours):
            with Http2Client(port) as client:
                found.append(client.ask("POST", path, "shop", fields, b"\0\0\0\0\0"))
        return found[0], found[1]


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    port, nobody = free_port(), free_port()
    with Http2App() as app, GrpcEnvoy(app.port, nobody) as theirs:
        text = config(
            me(),
            service("shop", port, "grpc"),
            workload("shop-1", "shop", {"grpc": app.port}, "v1"),
            workload("shop-2", "shop", {"grpc": nobody}, "v2"),
            subsets("shop", "v1", "v2", "v3"),
            rules(),
            plain([(port, "GRPC")]),
        )
        with Sidecar(text):
            found = Both(theirs.port, port, app)
            found.ask("/any")  # there are connections now
            yield found


@pytest.mark.parametrize(
    "path",
    [
        *(f"/direct/{status}" for status in STATUSES),
        *("/empty", "/redirect", "/slow", "/closed", "/gone", "/unknown", "/reset", "/any%00"),
    ],
)
def test_local_answers(both: Both, path: str) -> None:
    theirs, ours = both.ask(path)
    assert (ours.status, ours.get("content-type")) == (200, "application/grpc")
    assert (theirs.status, theirs.get("content-type")) == (200, "application/grpc")
    status = (theirs.get("grpc-status"), ours.get("grpc-status"))
    assert status == DIFFERENT.get(path, (status[0], status[0]))
    assert ours.get("location") == theirs.get("location")
    assert ours.get("content-length") is theirs.get("content-length") is None
    assert (bytes(ours.body), ours.trailers) == (bytes(theirs.body), theirs.trailers)
    if not path.startswith(("/direct", "/empty", "/redirect")):
        return  # ours says more
    assert ours.get("grpc-message") == theirs.get("grpc-message")


@pytest.mark.parametrize("path", ["/trailers?code=5", "/trailers?code=x", "/status?code=404"])
def test_answers_of_the_upstream_are_left_alone(both: Both, path: str) -> None:
    theirs, ours = both.ask(path)
    assert ours.status == theirs.status
    assert ours.trailers == theirs.trailers
    assert ours.get("grpc-status") is theirs.get("grpc-status") is None


@pytest.mark.parametrize("asked", TIMES)
def test_deadlines(both: Both, asked: str) -> None:
    """What the upstream is told: where no route bounds it, ours leaves it as it is."""
    bounded = _told(both, "/five", asked)
    assert bounded[0] == bounded[1]
    theirs, ours = _told(both, "/any", asked)
    assert ours == asked
    if seconds_of(asked.encode()):
        assert seconds_of(theirs.encode()) == seconds_of(ours.encode())
    else:
        assert theirs == asked


def _told(both: Both, path: str, asked: str) -> tuple[str, str]:
    """The shortest have passed before the answer is there: the app knows what it was told."""
    before = len(both.app.requests)
    both.ask(path, ("grpc-timeout", asked))
    wait_until(lambda: len(both.app.requests) == before + 2, "both requests")
    theirs, ours = (each.get("grpc-timeout", "none") for each in both.app.requests[before:])
    return theirs, ours


def test_http1(both: Both) -> None:
    """Nobody speaks gRPC over it, but who says so is believed."""
    for port in (both.theirs, both.ours):
        with Peer.connect(port) as client:
            headers = [("Content-Type", "application/grpc")]
            answer = client.ask("/direct/503", "POST", "shop", headers, b"x")
            assert (answer.status, answer.get("grpc-status")) == (200, "14")
            assert answer.get("content-length") == "0"
