"""gRPC health checks (grpc.health.v1): calls as any other, so it is mutual TLS that decides.

A probe of Kubernetes comes in plain text from outside of the mesh. Messages are made by hand:
`HealthCheckRequest` has the service's name as field 1, `HealthCheckResponse` a number.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import hop
from tests.support.peers import LOCAL
from tests.support.pki import Authority
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    plain,
    service,
    settings,
    workload,
)

grpc = pytest.importorskip("grpc", reason="not installed: grpcio")

pytestmark = pytest.mark.peer

SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"
SHOP = b"\x0a\x04shop"


class Health(grpc.GenericRpcHandler):  # type: ignore[misc, name-defined]
    """The service of the protocol: knows ``shop`` and the server as a whole."""

    def __init__(self) -> None:
        self.status = SERVING
        self.changed = threading.Condition()
        self.by: list[dict[str, Any]] = []

    def service(self, details: Any) -> Any:
        self.by.append(dict(details.invocation_metadata))
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(self.check)
        if details.method == "/grpc.health.v1.Health/Watch":
            return grpc.unary_stream_rpc_method_handler(self.watch)
        return None

    def set(self, status: bytes) -> None:
        with self.changed:
            self.status = status
            self.changed.notify_all()

    def check(self, request: bytes, context: Any) -> bytes:
        if request not in (b"", SHOP):
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return self.status

    def watch(self, request: bytes, context: Any) -> Iterator[bytes]:
        if request not in (b"", SHOP):
            yield SERVICE_UNKNOWN
            return
        told = b""
        context.add_callback(lambda: self.set(self.status))
        while context.is_active():
            with self.changed:
                while self.status == told and context.is_active():
                    self.changed.wait()
                told = self.status
            yield told


@dataclass(frozen=True)
class Place:
    """``caller`` is the port of a caller's sidecar; ``strict`` and ``open`` are the app's own."""

    health: Health
    caller: int
    strict: int
    open: int
    far: Sidecar

    @contextlib.contextmanager
    def stub(self, port: int) -> Iterator[Any]:
        options = [
            ("grpc.default_authority", "app"),
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        with grpc.insecure_channel(f"{LOCAL}:{port}", options) as channel:
            yield channel


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    health, authority = Health(), Authority()
    pool = futures.ThreadPoolExecutor(8)
    server = grpc.server(pool)
    server.add_generic_rpc_handlers((health,))
    number = server.add_insecure_port(f"{LOCAL}:0")
    server.start()
    caller, strict, probed = free_port(), free_port(), free_port()
    modes = {
        "selector": {"matchLabels": {"app": "me"}},
        "mtls": {"mode": "STRICT"},
        "portLevelMtls": {probed: {"mode": "PERMISSIVE"}},
    }
    far = config(
        hop.me("back"),
        plain([], [(strict, "GRPC", number), (probed, "GRPC", number)]),
        istio("PeerAuthentication", "default", modes),
        settings(accessLogFlush="20ms"),
    )
    endpoint = workload("app-1", "app", {"grpc": strict})
    endpoint["spec"]["serviceAccount"] = "back"
    tls = {"host": "app", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}
    near = config(
        hop.me("front"),
        service("app", caller, "grpc"),
        endpoint,
        istio("DestinationRule", "app", tls),
        plain([(caller, "GRPC")]),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(pool.shutdown)
        stack.callback(lambda: server.stop(None).wait())
        sidecar = stack.enter_context(hop.ours(far, authority.issue(hop.BACK)))
        stack.enter_context(hop.ours(near, authority.issue(hop.FRONT)))
        yield Place(health, caller, strict, probed, sidecar)


def check(channel: Any, request: bytes = b"") -> bytes:
    return bytes(channel.unary_unary("/grpc.health.v1.Health/Check")(request, timeout=8))


@pytest.mark.parametrize("end", ["caller", "open"])
def test_check(place: Place, end: str) -> None:
    """From the mesh, and as a probe of Kubernetes does it."""
    with place.stub(getattr(place, end)) as channel:
        assert check(channel) == check(channel, SHOP) == SERVING
        place.health.set(NOT_SERVING)
        try:
            assert check(channel, SHOP) == NOT_SERVING
        finally:
            place.health.set(SERVING)
        with pytest.raises(grpc.RpcError) as caught:
            check(channel, b"\x0a\x03xyz")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("end", ["caller", "open"])
def test_watch(place: Place, end: str) -> None:
    """A stream that lasts: each change comes at once."""
    with place.stub(getattr(place, end)) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
        assert list(watch(b"\x0a\x03xyz", timeout=8)) == [SERVICE_UNKNOWN]
        call = watch(SHOP, timeout=20)
        for status in (SERVING, NOT_SERVING, SERVING):
            place.health.set(status)
            assert next(call) == status
        call.cancel()


def test_a_probe_where_only_mutual_tls_is_let_in(place: Place) -> None:
    """It has no certificate: it is refused as any stranger, and counted."""
    name, labels = "meshproxy_connections_refused_total", {"reason": "plaintext"}
    before = place.far.metrics().value(name, **labels)
    with place.stub(place.strict) as channel, pytest.raises(grpc.RpcError) as caught:
        check(channel)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert place.far.metrics().value(name, **labels) > before


def test_an_app_without_the_service(place: Place) -> None:
    """UNIMPLEMENTED is the app's own word; it is passed on."""
    with place.stub(place.caller) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/grpc.health.v2.Health/Check")(b"", timeout=8)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
