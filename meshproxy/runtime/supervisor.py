"""The supervisor: it knows everything and carries nothing.

It owns the configuration, the listening sockets, the workers, the answers to scrapes and health
checks, and the signals. None of its work can hold up a request.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterable, Mapping

from meshproxy.export.log_writer import check_sink
from meshproxy.listen.acceptor import Capture
from meshproxy.listen.sockets import BindError, listen_on
from meshproxy.model.listener import Listener
from meshproxy.model.secret import Secret, SecretRef
from meshproxy.model.snapshot import Snapshot, diff
from meshproxy.runtime.channel import Kind
from meshproxy.runtime.crew import Crew

_log = logging.getLogger(__name__)

FollowSecrets = Callable[[Snapshot, Mapping[SecretRef, Secret]], None]

_LOOK = 1.0  # seconds between two looks at the workers
_KEEP = 5.0  # seconds between two fetches of counts, so that a dead worker's are not lost
_STEP = 0.05
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_LEAST_DRAIN = 0.2


class Supervisor:
    """Takes snapshots and makes the workers run them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, crew: Crew, drain_duration: float) -> None:
        self._loop = loop
        self.crew = crew
        self._drain_duration = drain_duration
        self._sockets: dict[str, tuple[Listener, list[socket.socket]]] = {}
        self.snapshot: Snapshot | None = None
        self.generation = 0
        self.draining = False
        self.failed_health = False  # asked for by /healthcheck/fail
        self.warnings: Callable[[], str] = str
        self.uncaptured_reason: Callable[[], str] = str
        self.identity_reason: Callable[[], str] = str
        self.follow_names: Callable[[Snapshot], None] = lambda snapshot: None
        self.follow_secrets: FollowSecrets = lambda snapshot, given: None
        self._stop = asyncio.Event()
        self._signals = 0
        self._unready: str | None = None  # as it was last told

    # Configuration.

    def apply(self, snapshot: Snapshot, secrets: Mapping[SecretRef, Secret]) -> None:
        """Make this what the workers run; ``secrets`` stood in the same documents. Raises
        `BindError`, `SinkError`; then nothing has changed."""
        for log in snapshot.access_logs:
            if log.path:
                check_sink(log.path)
        opened = self._open_new(snapshot)
        self.follow_secrets(snapshot, secrets)  # before the plan that needs them
        change = diff(self.snapshot, snapshot)
        gone = [name for name in self._sockets if name not in snapshot.listeners or name in opened]
        old = [sock for name in gone for sock in self._sockets.pop(name)[1]]
        for name, sockets in opened.items():
            self._sockets[name] = (snapshot.listeners[name], sockets)
        _tell_ports(gone, [snapshot.listeners[name] for name in opened])
        self.snapshot = snapshot
        self.generation += 1
        self.crew.configure(
            self.generation,
            change,
            {
                name: (_capture(listener), tuple(sock.fileno() for sock in sockets))
                for name, (listener, sockets) in self._sockets.items()
            },
        )
        for sock in old:
            sock.close()
        self.follow_names(snapshot)

    def _open_new(self, snapshot: Snapshot) -> dict[str, list[socket.socket]]:
        """Sockets of listeners that are new or stand on another address than before."""
        opened: dict[str, list[socket.socket]] = {}
        try:
            for name, listener in snapshot.listeners.items():
                known = self._sockets.get(name)
                if known is not None and _same_place(known[0], listener):
                    continue
                opened[name] = []
                for ip in listener.bind:
                    opened[name].append(listen_on(ip, listener.port, listener.transparent))
        except BindError:
            for sockets in opened.values():
                for sock in sockets:
                    sock.close()
            raise
        return opened

    # Health.

    def unready_reason(self) -> str:
        """Why the sidecar is not ready, as a sentence; "" when it is."""
        if self.draining:
            return "draining: the sidecar is shutting down"
        if self.failed_health:
            return "failed by request (/healthcheck/fail)"
        if not self.generation:
            return "waiting for the first configuration"
        if not self.crew.serving:
            return "waiting for a worker to take the configuration"
        return self.identity_reason() or self.uncaptured_reason()

    def tell_readiness(self) -> None:
        """Log it where it has changed; that the first workers are starting goes without saying."""
        reason = self.unready_reason()
        starting = self._unready is None and not self.crew.serving
        if reason == self._unready or starting or self.draining:
            return
        self._unready = reason
        if reason:
            _log.warning("not ready: %s", reason)
        else:
            _log.info("ready")

    # Life.

    def take_signals(self) -> None:
        """Before there are workers: what is carried already is never cut off by a signal.

        One that comes before the loop runs waits for it: uvloop would forget it.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.on_end_signal)
        self._loop.add_signal_handler(signal.SIGUSR1, lambda: self.crew.broadcast(Kind.REOPEN))

    async def run(self) -> bool:
        """Until told to end; then drain and stop. False if it had to end by itself."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        looked = kept = self._loop.time()
        self.crew.on_change = self.tell_readiness
        while not self._stop.is_set() and not self.crew.lost:
            try:
                async with asyncio.timeout(_LOOK):
                    await self._stop.wait()
            except TimeoutError:
                pass
            now = self._loop.time()
            self.tell_readiness()
            if self.snapshot is not None and not _slept(now - looked):
                self.crew.check_heartbeats(self.snapshot.settings.worker_timeout)
            looked = now
            if now - kept > _KEEP:
                kept = now
                await self.crew.counts()
        await self.crew.stop(5.0)
        return not self.crew.lost

    def on_end_signal(self) -> None:
        """The first SIGTERM or SIGINT drains, the second stops at once."""
        self._signals += 1
        if self._signals > 1:
            _log.warning("second signal: stopping at once")
            self.stop()
        elif not self.draining:
            self._drain_task = self._loop.create_task(self.drain(), name="drain")

    async def drain(self) -> None:
        """Finish what is in flight, at longest for the drain duration, then stop."""
        if self.draining:
            return
        self.draining = True
        _log.info("draining: at longest %g s", self._drain_duration)
        self.crew.broadcast(Kind.DRAIN)
        start = self._loop.time()
        while not self._stop.is_set():
            await asyncio.sleep(_STEP)
            waited = self._loop.time() - start
            left = self.crew.in_flight
            if waited >= self._drain_duration:
                _log.warning("drain time is over with %d connections busy", max(left, 0))
                break
            if not left and waited >= _LEAST_DRAIN:
                _log.info("nothing is in flight any more")
                break
        self.stop()

    def stop(self) -> None:
        self._stop.set()


def _tell_ports(gone: Iterable[str], opened: Iterable[Listener]) -> None:
    """What is no longer listened on, and what is from now on."""
    there = list(opened)
    for name in set(gone).difference(listener.name for listener in there):
        _log.info("%s is closed", name)
    for listener in there:
        places = " and ".join(f"{ip} port {listener.port}" for ip in listener.bind)
        _log.info("%s listens on %s", listener.name, places)


def _same_place(one: Listener, other: Listener) -> bool:
    return (one.port, one.bind, _capture(one)) == (other.port, other.bind, _capture(other))


def _capture(listener: Listener) -> Capture:
    if not listener.captured:
        return ""
    return "tproxy" if listener.transparent else "redirect"


def _slept(elapsed: float) -> bool:
    """Whether the machine itself stood still (suspended, stopped): then workers did not hang."""
    return elapsed > _LOOK * 3
