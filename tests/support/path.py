"""The data path of one worker without sockets: fake transports on both sides, a fake clock.

path = DataPath(outbound())
client = path.connect("10.1.1.1:80")
client.receive(b"GET / HTTP/1.1\\r\\nHost: shop\\r\\n\\r\\n")
server = path.dialled()
assert server.take().startswith(b"GET / ")
server.receive(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
assert client.take().startswith(b"HTTP/1.1 204")
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from meshproxy.aio.outbox import Outbox
from meshproxy.aio.timers import Timers
from meshproxy.base.addr import Address
from meshproxy.base.errors import Kind, ProxyError, Retry
from meshproxy.cluster.endpoints import Registry
from meshproxy.model.snapshot import Snapshot
from meshproxy.plan.build import Builder, Context
from meshproxy.plan.plan import Plan, Plans
from meshproxy.serve.gate import Gate
from meshproxy.serve.ledger import Ledger
from meshproxy.serve.serving import Serving
from meshproxy.telemetry.metrics import Counters
from meshproxy.upstream.upstreams import Upstreams
from meshproxy.wire.codecs import http1_reader, http2_codec
from tests.support.fakes import Draws, FakeClock, FakeTransport, NoLimits


class _Loop(FakeClock):
    """Runs a task to its first wait and keeps it: dialling is the only thing that waits."""

    def __init__(self) -> None:
        super().__init__()
        self.dials: list[tuple[Any, str, int, str, bool, _Wait]] = []

    def create_task(self, work: Coroutine[Any, Any, Any], name: str) -> _Task:
        return _Task(work)

    def create_future(self) -> _Wait:
        return _Wait()

    async def dial(
        self,
        loop: Any,
        factory: Any,
        address: Address,
        deadline: float,
        source: str,
        transparent: bool,
    ) -> Any:
        wait = _Wait()
        self.dials.append((factory, address.ip, address.port, source, transparent, wait))
        return await wait


class _Wait:
    """Something that a task waits for until `finish`."""

    def __init__(self) -> None:
        self.task: _Task | None = None
        self.result: Any = None

    def __await__(self) -> Any:
        yield self
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def finish(self, result: Any) -> None:
        assert self.task is not None
        self.result = result
        self.task.step()

    # As much of a future as `NamesPromise` needs.

    def done(self) -> bool:
        return self.result is not None

    def set_result(self, result: Any) -> None:
        self.finish(result)

    def set_exception(self, error: Exception) -> None:
        self.finish(error)


class _Task:
    """As much of a task as `spawn` needs."""

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._work = work
        self.step()

    def step(self) -> None:
        try:
            waiting = self._work.send(None)
        except StopIteration:
            return
        waiting.task = self

    def add_done_callback(self, callback: Any) -> None:
        pass


class DataPath:
    """``draws`` are what chance gives: splits and balancing."""

    def __init__(self, snapshot: Snapshot, codec: str = "fast", draws: Draws | None = None) -> None:
        self.loop = _Loop()
        self.lines: list[str] = []
        self.registry = Registry(snapshot.settings.max_idle_upstream)
        self.counters = Counters(snapshot.settings.max_series)
        draw = draws or Draws()
        self.builder = Builder(
            Context(self.registry, self.counters, draw, lambda path: self.lines.append, {})
        )
        self.timers = Timers(self.loop)
        self.limits = NoLimits()
        reader, http2 = http1_reader(codec), http2_codec("fast" if codec == "fast" else "h2")
        loop: Any = self.loop
        self.upstreams = Upstreams(
            loop,
            self.timers,
            Outbox(loop),
            self.registry,
            snapshot.settings,
            reader,
            http2,
            self.loop.dial,
            ping_timed_out=lambda cluster: self.counters.add(
                "meshproxy_upstream_http2_ping_timeouts_total", (cluster,)
            ),
            rules_broken=lambda cluster, word: self.counters.add(
                "meshproxy_upstream_protocol_errors_total", (cluster, word)
            ),
        )
        self.plans = Plans(Plan(0, snapshot.settings))
        self.configure(snapshot)
        self.serving = Serving(
            loop,
            self.loop,
            self.plans,
            self.timers,
            self.upstreams,
            self.counters,
            self.limits,
            reader,
            http2,
            draw,
            Ledger(most=1),
        )

    def configure(self, snapshot: Snapshot) -> None:
        """The next plan."""
        self.plans.current = self.builder.build(snapshot, self.plans.current.generation + 1)

    def connect(
        self, to: str | None = "10.1.1.1:80", listener: str = "out", client: str = "10.0.0.9"
    ) -> FakeTransport:
        """A client's connection that was going to ``to`` (None: straight to us)."""
        transport = FakeTransport((client, 4242))
        destination = None
        if to is not None:
            ip, _, port = to.rpartition(":")
            destination = Address(ip.strip("[]"), int(port))
        return transport.connect(Gate(self.serving, listener, lambda _: destination))

    def dialled(self, index: int = 0) -> FakeTransport:
        """Let a waiting dial succeed; the server's end of it."""
        factory, ip, port, _, _, wait = self.loop.dials.pop(index)
        transport = FakeTransport((ip, port))
        transport.extra["sockname"] = ("10.0.0.1", 50000)
        protocol = factory()
        transport.connect(protocol)
        wait.finish(protocol)
        return transport

    def refused(self, index: int = 0) -> None:
        """Let a waiting dial fail."""
        *_, wait = self.loop.dials.pop(index)
        wait.finish(ProxyError(Kind.CONNECT_FAILURE, "connection refused", retry=Retry.ALWAYS))

    def dials(self) -> list[str]:
        """Addresses that are being dialled."""
        return [f"{ip}:{port}" for _, ip, port, *_ in self.loop.dials]

    def plain(self, name: str, *labels: str) -> int:
        return self.counters.plain.get((name, labels), 0)
