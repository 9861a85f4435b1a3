"""A worker: one event loop that carries traffic, told what to do over its channel.

It is forked from the zygote, gets listening sockets and the configuration from the supervisor, and
starts to accept with its first plan. It reads no file, renders no scrape and parses no YAML.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import marshal
import os
import pickle
import random
import signal
import socket
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import uvloop

from meshproxy.aio.outbox import Outbox
from meshproxy.aio.timers import Timers
from meshproxy.base.addr import Address
from meshproxy.base.clock import SystemClock
from meshproxy.cluster.endpoints import Registry
from meshproxy.export.log_writer import LogWriter
from meshproxy.listen.acceptor import Acceptor
from meshproxy.model.settings import DEFAULTS
from meshproxy.model.snapshot import PartKey, Parts, Snapshot
from meshproxy.plan.build import Builder, Context
from meshproxy.plan.plan import Plan, Plans
from meshproxy.runtime.channel import Channel, Kind
from meshproxy.runtime.handover import Handover, Lane
from meshproxy.runtime.logs import set_level, setup_logging
from meshproxy.runtime.options import WorkerOptions
from meshproxy.runtime.page import Column, Page, PageLimits
from meshproxy.serve.readmit import readmit
from meshproxy.serve.serving import Serving
from meshproxy.telemetry.metrics import Counters
from meshproxy.tls.store import TlsStore
from meshproxy.upstream.upstreams import Upstreams
from meshproxy.wire.codecs import http1_reader, http2_codec

_log = logging.getLogger(__name__)

_SLICE = 0.0005  # seconds of compiling between requests
_HEARTBEAT = 0.5
_DRAIN_STEP = 0.05


class Worker:
    """Everything that one worker process holds."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        page: Page,
        row: int,
        options: WorkerOptions,
        ways: Sequence[Lane] = (),
    ) -> None:
        clock = SystemClock()
        self._loop = loop
        self._page = page
        self._row = page.row(row)
        self._options = options
        self._logs: dict[str, LogWriter] = {}
        self._parts = Parts()
        self._settings = DEFAULTS
        self._plain: frozenset[Address] = frozenset()
        self._counters = Counters(DEFAULTS.max_series)
        self._steps: Generator[None, None, Plan] | None = None
        self._generation = 0
        self._started = False
        self._draining = False
        self.stopped = loop.create_future()
        registry = self._registry = Registry(DEFAULTS.max_idle_upstream)
        # Not for secrets: weighted splits and balancing.
        draw = random.Random().random
        self._builder = Builder(
            Context(registry, self._counters, draw, self._open_log, dict(options.environment))
        )
        timers = Timers(loop)
        plans = Plans(Plan(0, DEFAULTS))
        reader = http1_reader(options.http1_codec)
        http2 = http2_codec(options.http2_codec)
        self._store = TlsStore(clock.wall)
        upstreams = Upstreams(
            loop,
            timers,
            Outbox(loop),
            registry,
            DEFAULTS,
            reader,
            http2,
            store=self._store,
            tls_failed=self._count_tls_failure,
            ping_timed_out=self._count_ping_timeout,
            rules_broken=self._count_protocol_error,
        )
        self._serving = Serving(
            loop,
            clock,
            plans,
            timers,
            upstreams,
            self._counters,
            PageLimits(page, row),
            reader,
            http2,
            draw,
        )
        self._acceptor = Acceptor(loop, self._serving)
        self._handover: Handover | None = None
        if row < len(ways):
            now, adopt, handed = self._serving.now, self._acceptor.adopt, self._count_handed
            self._handover = Handover(loop, now, page, row, ways, adopt, handed)
            self._acceptor.hand = self._handover.hand
        self._timers = timers
        self._beat()
        timers.every(_HEARTBEAT, self._beat)
        self._channel = Channel(loop, sock, self._on_message, self._on_lost)

    def _count_tls_failure(self, cluster: str, word: str) -> None:
        self._counters.add("meshproxy_upstream_tls_failures_total", (cluster, word))

    def _count_handed(self, listener: str) -> None:
        self._counters.add("meshproxy_connections_handed_over_total", (listener,))

    def _count_protocol_error(self, cluster: str, word: str) -> None:
        self._counters.add("meshproxy_upstream_protocol_errors_total", (cluster, word))

    def _count_ping_timeout(self, cluster: str) -> None:
        self._counters.add("meshproxy_upstream_http2_ping_timeouts_total", (cluster,))

    def _beat(self) -> None:
        self._row[Column.HEARTBEAT] = int(self._serving.now() * 1000)
        if self._handover is not None:
            self._handover.refill()

    def _on_message(self, kind: Kind, body: bytes, fds: list[int]) -> None:
        match kind:
            case Kind.PARTS:
                self._take_parts(pickle.loads(body))
            case Kind.COMMIT:
                self._begin_plan(pickle.loads(body))
            case Kind.LISTEN:
                name, capture = pickle.loads(body)
                self._acceptor.add(name, capture, [socket.socket(fileno=fd) for fd in fds])
            case Kind.UNLISTEN:
                self._acceptor.remove(pickle.loads(body))
            case Kind.NAMES:
                self._builder.names.take(pickle.loads(body))
            case Kind.SECRETS:
                self._store.update(pickle.loads(body))
            case Kind.STATS:
                self._serving.ledger.settle()
                self._channel.send(Kind.COUNTS, marshal.dumps(self._counters.dump()))
            case Kind.HOSTS:
                self._channel.send(Kind.HOST_COUNTS, marshal.dumps(self._registry.counts()))
            case Kind.DRAIN:
                self._begin_drain()
            case Kind.STOP:
                self._stop()
            case Kind.REOPEN:
                self._serving.ledger.settle()
                for log in self._logs.values():
                    log.reopen()
            case Kind.LOG_LEVEL:
                set_level(*pickle.loads(body))
            case _:
                _log.error("unexpected message %s", kind.name)

    # Configuration.

    def _take_parts(self, parts: list[tuple[PartKey, Any, bool]]) -> None:
        for key, part, present in parts:
            if present:
                self._parts.put(key, part)
            else:
                self._parts.drop(key)

    def _begin_plan(self, generation: int) -> None:
        """All parts of the next configuration are here: compile it in slices."""
        self._generation = generation
        compiling = self._steps is not None
        try:
            snapshot = self._parts.snapshot()
            self._settings = snapshot.settings
            self._plain = _plain_addresses(snapshot)
            self._steps = self._builder.steps(snapshot, generation)
        except Exception as error:
            self._steps = None
            self._reject(error)
            return
        if not compiling:
            self._loop.call_soon(self._compile_slice)

    def _compile_slice(self) -> None:
        steps = self._steps
        if steps is None:
            return
        now = self._serving.now  # the loop's own time goes by milliseconds
        until = now() + _SLICE
        try:
            while now() < until:
                next(steps)
        except StopIteration as end:
            self._steps = None
            self._swap(end.value)
            return
        except Exception as error:
            self._steps = None
            self._reject(error)
            return
        self._loop.call_soon(self._compile_slice)

    def _swap(self, plan: Plan) -> None:
        self._builder.commit(plan)
        self._serving.plans.current = plan
        self._store.configure(plan.mesh_tls, plan.tls_tickets)
        self._serving.upstreams.settings = plan.settings
        self._serving.upstreams.plain = self._plain
        self._registry.max_idle = plan.settings.max_idle_upstream
        self._counters.max_series = plan.settings.max_series
        if not self._started:
            self._started = True
            # The model will be there for long: the collector need not look at it again and again.
            gc.collect()
            gc.freeze()
        self._acceptor.open_waiting()
        self._row[Column.GENERATION] = self._generation
        readmit(self._serving, self._options.drain_duration)
        self._channel.send(Kind.COMMITTED, pickle.dumps(self._generation))

    def _reject(self, error: Exception) -> None:
        _log.exception("configuration %d could not be compiled", self._generation)
        self._channel.send(Kind.REJECTED, pickle.dumps((self._generation, str(error))))

    def _open_log(self, path: str) -> Any:
        log = self._logs.get(path)
        if log is None:
            settings = self._settings
            log = self._logs[path] = LogWriter(
                path,
                settings.access_log_buffer_bytes,
                lambda: self._counters.add("meshproxy_access_log_dropped_total"),
                lambda: self._page.turn(path),
            )
            self._timers.every(settings.access_log_flush, partial(self._flush, log))
        return log.write

    def _flush(self, log: LogWriter) -> None:
        self._serving.ledger.settle()
        log.flush()

    # Ending.

    def _begin_drain(self) -> None:
        if not self._draining:
            self._draining = True
            self._serving.draining_inbound = True
            self._drain_step()

    def _drain_step(self) -> None:
        """Ask connections to end, and tell how many still have work in flight."""
        busy = 0
        plan = self._serving.plans.current
        for connection in list(self._serving.connections):
            listener = plan.listeners.get(connection.listener)
            if listener is not None and listener.inbound:
                connection.drain()
            busy += connection.busy
        self._channel.send(Kind.BUSY, pickle.dumps(busy))
        self._timers.after(_DRAIN_STEP, self._drain_step)

    def _stop(self) -> None:
        self._row[Column.GENERATION] = 0
        self._acceptor.stop()
        for connection in list(self._serving.connections):
            connection.abort()
        # Connections write their last records when they are told that they are lost.
        self._loop.call_later(0.01, self._end)

    def _end(self) -> None:
        self._serving.upstreams.close_idle()
        self._serving.ledger.settle()
        for log in self._logs.values():
            log.close()
        self._channel.send(Kind.STOPPED, marshal.dumps(self._counters.dump()))
        if not self.stopped.done():
            self.stopped.set_result(None)

    def _on_lost(self) -> None:
        """The supervisor has gone, and with it whoever could replace or configure us."""
        if not self.stopped.done():
            self.stopped.set_result(None)


def _plain_addresses(snapshot: Snapshot) -> frozenset[Address]:
    """Where the app calls without being redirected."""
    return frozenset(
        Address(ip, listener.port)
        for listener in snapshot.listeners.values()
        if not listener.captured
        for ip in listener.bind
    )


def run_worker(
    sock: socket.socket, page: Page, row: int, options: WorkerOptions, ways: Sequence[Lane]
) -> None:
    """The life of a worker process, from its fork to its end."""
    # Signals are for the supervisor, which tells us what they mean; a service manager or a
    # terminal sends them to every process.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    setup_logging(options.log_level, options.log_format, f"worker {os.getpid()}")
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = Worker(loop, sock, page, row, options, ways)
    loop.run_until_complete(worker.stopped)
