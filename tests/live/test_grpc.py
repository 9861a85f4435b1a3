"""gRPC by its own library: every kind of call, through one sidecar and through two."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import hop
from tests.support.http2 import Http2App
from tests.support.peers import LOCAL, wait_until
from tests.support.pki import Authority
from tests.support.sidecar import (
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

grpc = pytest.importorskip("grpc", reason="not installed: grpcio")

pytestmark = pytest.mark.peer


class Greeter(grpc.GenericRpcHandler):  # type: ignore[misc, name-defined]
    """Methods without generated code: messages are bytes."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.started = threading.Event()
        self.seen: list[dict[str, Any]] = []

    def service(self, details: Any) -> Any:
        self.seen.append(dict(details.invocation_metadata))
        kind, _, name = details.method.rpartition("/")[2].partition("_")
        behave: Callable[..., Any] = getattr(self, name or kind)
        handlers = {
            "unary": grpc.unary_unary_rpc_method_handler,
            "down": grpc.unary_stream_rpc_method_handler,
            "up": grpc.stream_unary_rpc_method_handler,
            "both": grpc.stream_stream_rpc_method_handler,
        }
        return handlers[kind](behave)

    def echo(self, request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("x-trailer", "t"), ("x-bin-bin", b"\x00\xff")))
        context.send_initial_metadata((("x-initial", "i"),))
        return request

    def fail(self, request: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: ü%")
        raise AssertionError("abort raises")

    def big(self, request: bytes, context: Any) -> bytes:
        return b"b" * int(request)

    def count(self, request: bytes, context: Any) -> Iterator[bytes]:
        for at in range(int(request)):
            yield b"%d" % at

    def total(self, requests: Iterator[bytes], context: Any) -> bytes:
        return b"%d" % sum(len(each) for each in requests)

    def mirror(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from requests

    def forever(self, request: bytes, context: Any) -> Iterator[bytes]:
        context.add_callback(self.cancelled.set)
        self.started.set()
        for at in itertools.count():
            if not context.is_active():
                return
            yield b"%d" % at

    def slow(self, request: bytes, context: Any) -> bytes:
        context.add_callback(self.cancelled.set)
        self.started.set()
        self.cancelled.wait(20)
        return b"late"


@dataclass(frozen=True)
class Place:
    channel: Any
    greeter: Greeter
    proxies: tuple[Sidecar, ...]

    def call(self, kind: str, name: str) -> Any:
        make = {
            "unary": self.channel.unary_unary,
            "down": self.channel.unary_stream,
            "up": self.channel.stream_unary,
            "both": self.channel.stream_stream,
        }[kind]
        return make(f"/test.Greeter/{kind}_{name}")


def far_side(inbound: int, target: int) -> str:
    return config(me(), plain([], [(inbound, "GRPC", target)]))


def near_side(port: int, target: int) -> str:
    return config(
        me(),
        service("greeter", port, "grpc"),
        workload("greeter-1", "greeter", {"grpc": target}),
        plain([(port, "GRPC")]),
        settings(accessLogFlush="20ms"),
    )


def mutual(port: int, inbound: int, number: int) -> tuple[str, str]:
    """Both ends with mutual TLS between them; gRPC is told by the ports' appProtocol."""
    far = config(
        hop.me("back"),
        plain([], [(inbound, "GRPC", number)]),
        istio("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
    )
    greeter = service("greeter", port, "rpc")
    greeter["spec"]["ports"][0]["appProtocol"] = "grpc"
    endpoint = workload("greeter-1", "greeter", {"rpc": inbound})
    endpoint["spec"]["serviceAccount"] = "back"
    tls = {"host": "greeter", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}
    near = config(
        hop.me("front"),
        greeter,
        endpoint,
        istio("DestinationRule", "greeter", tls),
        plain([(port, "GRPC")]),
        settings(accessLogFlush="20ms"),
    )
    return far, near


@pytest.fixture(scope="module", params=["one", "two", "mutual TLS"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A server, and one sidecar in front of it (the caller's), or two."""
    greeter = Greeter()
    pool = futures.ThreadPoolExecutor(8)
    server = grpc.server(pool, options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((greeter,))
    number = server.add_insecure_port(f"{LOCAL}:0")
    server.start()
    port, inbound = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        stack.callback(pool.shutdown)
        stack.callback(lambda: server.stop(None).wait())
        proxies = []
        target = number
        if request.param == "two":
            proxies.append(stack.enter_context(Sidecar(far_side(inbound, number), workers=2)))
            target = inbound
        if request.param == "mutual TLS":
            authority = Authority()
            for text, account in zip(
                mutual(port, inbound, number), (hop.BACK, hop.FRONT), strict=True
            ):
                end = hop.ours(text, authority.issue(account), workers=2)
                proxies.append(stack.enter_context(end))
        else:
            proxies.append(stack.enter_context(Sidecar(near_side(port, target), workers=2)))
        options = [
            ("grpc.default_authority", "greeter"),
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        channel = stack.enter_context(grpc.insecure_channel(f"{LOCAL}:{port}", options))
        yield Place(channel, greeter, tuple(proxies))


def test_unary(place: Place) -> None:
    response, call = place.call("unary", "echo").with_call(
        b"hello", timeout=5, metadata=(("x-up", "u"), ("x-up-bin", b"\x01\xfe"))
    )
    assert response == b"hello"
    assert call.code() is grpc.StatusCode.OK
    assert ("x-initial", "i") in [tuple(pair) for pair in call.initial_metadata()]
    trailing = dict(call.trailing_metadata())
    assert trailing["x-trailer"] == "t"
    assert trailing["x-bin-bin"] == b"\x00\xff"
    seen = place.greeter.seen[-1]
    assert (seen["x-up"], seen["x-up-bin"]) == ("u", b"\x01\xfe")
    assert seen["x-request-id"]


def test_a_status_other_than_ok(place: Place) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        place.call("unary", "fail")(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "no such thing: ü%"


def test_a_method_that_does_not_exist(place: Place) -> None:
    """The server answers with nothing but trailers in its head."""
    with pytest.raises(grpc.RpcError) as caught:
        place.call("unary", "nothing")(b"", timeout=5)
    assert caught.value.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN)


def test_many_unary_calls_at_once(place: Place) -> None:
    calls = [place.call("unary", "echo").future(b"%d" % at, timeout=10) for at in range(200)]
    assert [call.result() for call in calls] == [b"%d" % at for at in range(200)]


def test_streaming_down(place: Place) -> None:
    got = list(place.call("down", "count")(b"1000", timeout=10))
    assert got == [b"%d" % at for at in range(1000)]


def test_streaming_up(place: Place) -> None:
    requests = (b"x" * 100 for _ in range(1000))
    assert place.call("up", "total")(requests, timeout=5) == b"100000"


def test_streaming_up_nothing(place: Place) -> None:
    assert place.call("up", "total")(iter(()), timeout=5) == b"0"


def test_streaming_both_ways(place: Place) -> None:
    """Each message is answered before the next one is sent: nothing is held back."""
    answered = threading.Semaphore(0)

    def requests() -> Iterator[bytes]:
        for at in range(50):
            yield b"%d" % at
            assert answered.acquire(timeout=5), "the answer is held back"

    got = []
    for response in place.call("both", "mirror")(requests(), timeout=20):
        got.append(response)
        answered.release()
    assert got == [b"%d" % at for at in range(50)]


@pytest.mark.parametrize("size", [0, 100_000, 3_000_000])
def test_large_messages_up(place: Place, size: int) -> None:
    """Past every window on the way."""
    total = place.call("up", "total")
    assert total(iter([b"m" * size]), timeout=8) == b"%d" % size


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_large_messages_down(place: Place, size: int) -> None:
    assert len(place.call("unary", "big")(b"%d" % size, timeout=8)) == size


def test_a_cancelled_call_is_cancelled_at_the_server(place: Place) -> None:
    greeter = place.greeter
    greeter.cancelled.clear()
    call = place.call("down", "forever")(b"", timeout=20)
    for _, response in zip(range(10), call, strict=False):
        assert response
    call.cancel()
    assert greeter.cancelled.wait(5), "the server was not told"


def test_a_deadline_is_kept(place: Place) -> None:
    greeter = place.greeter
    greeter.cancelled.clear()
    with pytest.raises(grpc.RpcError) as caught:
        place.call("unary", "slow")(b"", timeout=0.3)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert greeter.cancelled.wait(5), "the server was not told"


def test_a_reader_that_stops_stops_the_server(place: Place) -> None:
    """Memory of the sidecars stays flat while a stream waits."""
    before = [max(proxy.pss().values()) for proxy in place.proxies]
    call = place.call("down", "forever")(b"", timeout=30)
    assert next(call) == b"0"
    threading.Event().wait(0.5)
    after = [max(proxy.pss().values()) for proxy in place.proxies]
    call.cancel()
    assert all(b - a < 8192 for a, b in zip(before, after, strict=True))


MIB = 1 << 20
SIZES = [
    pytest.param(32 * MIB, id="32MiB"),
    pytest.param(1024 * MIB, id="1GiB", marks=pytest.mark.long),
]


@pytest.mark.parametrize("size", SIZES)
def test_a_large_stream_in_flat_memory(place: Place, size: int) -> None:
    """There and back; each side stops its sender when it can't pass on."""
    mirror, piece = place.call("both", "mirror"), b"p" * (64 * 1024)

    def there_and_back(total: int) -> int:
        requests = (piece for _ in range(total // len(piece)))
        return sum(len(response) for response in mirror(requests, timeout=400))

    assert there_and_back(4 * MIB) == 4 * MIB  # whatever is made once has been
    with Watch(lambda: max(max(proxy.pss().values()) for proxy in place.proxies)) as watch:
        assert there_and_back(size) == size
    assert watch.growth < 4096


def test_calls_are_counted_as_grpc(place: Place) -> None:
    name = "istio_requests_total"
    labels = {"request_protocol": "grpc", "grpc_response_status": "5"}
    before = [proxy.metrics().value(name, **labels) for proxy in place.proxies]
    with pytest.raises(grpc.RpcError):
        place.call("unary", "fail")(b"", timeout=5)

    def counted() -> bool:
        after = [proxy.metrics().value(name, **labels) for proxy in place.proxies]
        return after == [count + 1 for count in before]

    wait_until(counted, "each sidecar to count the call")


def test_metadata_that_is_too_much(place: Place) -> None:
    """HTTP's 431, told as gRPC's own libraries do."""
    with pytest.raises(grpc.RpcError) as caught:
        place.call("unary", "echo")(
            b"", timeout=5, metadata=[(f"x-{at}", "v") for at in range(120)]
        )
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "more than 100 headers" in caught.value.details()
    assert place.call("unary", "echo")(b"hello", timeout=5) == b"hello"


def test_what_a_policy_refuses() -> None:
    inbound = free_port()
    with Http2App() as app:
        text = config(
            me(),
            plain([], [(inbound, "GRPC", app.port)]),
            istio("AuthorizationPolicy", "nobody", {}),
        )
        options = [("grpc.default_authority", "greeter"), ("grpc.enable_http_proxy", 0)]
        with Sidecar(text), grpc.insecure_channel(f"{LOCAL}:{inbound}", options) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary("/test.Greeter/unary_echo")(b"", timeout=5)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert caught.value.details() == "RBAC: access denied"
            assert app.requests == []


def test_a_server_that_is_not_there() -> None:
    """The caller is told in gRPC's own words."""
    port = free_port()
    with Sidecar(near_side(port, free_port())):
        options = [("grpc.default_authority", "greeter"), ("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(f"{LOCAL}:{port}", options) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary("/test.Greeter/unary_echo")(b"", timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "connection refused" in caught.value.details()
