"""The workers as the supervisor sees them: starting, watching, replacing, asking, ending."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import marshal
import os
import pickle
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from meshproxy.cluster.names import Answer, with_addresses
from meshproxy.listen.acceptor import Capture
from meshproxy.model.secret import Secret, SecretRef
from meshproxy.model.snapshot import Change, PartKey, Snapshot
from meshproxy.runtime.channel import Channel, Kind
from meshproxy.runtime.page import ROWS, Column, Page
from meshproxy.runtime.zygote import ENDED, FORK, NEWS
from meshproxy.telemetry.metrics import merge

_log = logging.getLogger(__name__)

_BATCH = 64  # parts in one message
_ANSWER = 1.0  # seconds a worker has to tell its counts
_SHORT_LIFE = 5.0  # a worker that lived less is started again more slowly each time
_SLOWEST = 10.0


class Member:
    """One worker process."""

    def __init__(self, row: int, started: float) -> None:
        self.row = row
        self.started = started
        self.pid = 0
        self.channel: Channel
        self.generation = 0  # of the plan it runs
        self.counts: dict[str, Any] = {"http": {}, "tcp": {}, "plain": {}}
        self.told: asyncio.Event = asyncio.Event()  # counts have come since they were asked for
        self.hosts: dict[tuple[str, str, int], tuple[int, ...]] = {}
        self.told_hosts: asyncio.Event = asyncio.Event()
        self.busy = -1  # connections with work in flight, once it drains
        self.stopping = False
        self.hung = False


class Crew:
    """``on_change`` is called when a worker has taken a plan, or has gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, zygote: socket.socket, page: Page) -> None:
        self._loop = loop
        self._zygote = zygote
        self._page = page
        self.on_change: Callable[[], None] = lambda: None
        self._members: dict[int, Member] = {}  # by row
        self._retired: dict[str, Any] = {"http": {}, "tcp": {}, "plain": {}}
        self._parts: dict[PartKey, Any] = {}
        self._listeners: dict[str, tuple[Capture, tuple[int, ...]]] = {}
        self._names: dict[str, Answer] = {}  # what DNS says
        self._secrets: dict[SecretRef, Secret] = {}
        self._generation = 0
        self._failures = 0
        self._ending = False
        self.lost = False  # without the zygote no worker can be replaced
        self._one_ended = asyncio.Event()
        self.restarts: dict[str, int] = {"died": 0, "hung": 0}
        self.rejection = ""
        zygote.setblocking(False)
        loop.add_reader(zygote, self._on_news)

    # Starting.

    def start(self, count: int) -> None:
        for _ in range(count):
            self._start_one()

    def _start_one(self) -> None:
        if self._ending:
            return
        row = next(row for row in range(ROWS) if row not in self._members)
        ours, theirs = socket.socketpair()
        member = Member(row, self._loop.time())
        self._members[row] = member
        self._page.clear(row)
        self._page.row(row)[Column.HEARTBEAT] = int(self._loop.time() * 1000)
        member.channel = Channel(
            self._loop,
            ours,
            lambda kind, body, fds: self._on_message(member, kind, body),
            lambda: self._on_channel_closed(member),
        )
        socket.send_fds(self._zygote, [FORK.pack(row)], [theirs.fileno()])
        theirs.close()
        for name in self._listeners:
            self._send_listener(member, name)
        if self._secrets:  # before what needs them
            member.channel.send(Kind.SECRETS, pickle.dumps(self._secrets))
        if self._names:
            member.channel.send(Kind.NAMES, pickle.dumps(self._names))
        if self._generation:
            self._send_change(member, Change(self._parts, ()))

    # Configuration.

    def configure(
        self,
        generation: int,
        change: Change,
        listeners: dict[str, tuple[Capture, tuple[int, ...]]],
    ) -> None:
        """Give every worker what has changed.

        ``listeners`` are all there are, by name: how they capture, and their sockets.
        """
        new = [name for name, found in listeners.items() if self._listeners.get(name) != found]
        gone = [name for name in self._listeners if name not in listeners or name in new]
        self._generation = generation
        self._listeners = dict(listeners)
        for key in change.removed:
            self._parts.pop(key, None)
        self._parts.update(change.changed)
        for member in self._members.values():
            for name in gone:
                member.channel.send(Kind.UNLISTEN, pickle.dumps(name))
            for name in new:
                self._send_listener(member, name)
            self._send_change(member, change)

    def _send_listener(self, member: Member, name: str) -> None:
        capture, fds = self._listeners[name]
        member.channel.send(Kind.LISTEN, pickle.dumps((name, capture)), fds)

    def _send_change(self, member: Member, change: Change) -> None:
        parts: list[tuple[PartKey, Any, bool]] = [(key, None, False) for key in change.removed]
        parts += [(key, part, True) for key, part in change.changed.items()]
        for at in range(0, len(parts), _BATCH):
            member.channel.send(Kind.PARTS, pickle.dumps(parts[at : at + _BATCH]))
        member.channel.send(Kind.COMMIT, pickle.dumps(self._generation))

    def tell_names(self, told: Mapping[str, Answer | None]) -> None:
        """Give every worker what DNS says; None of a name that is not asked for any more."""
        for name, answer in told.items():
            if answer is None:
                self._names.pop(name, None)
            else:
                self._names[name] = answer
        self.broadcast(Kind.NAMES, dict(told))

    def tell_secrets(self, told: Mapping[SecretRef, Secret | None]) -> None:
        """Give every worker certificates and keys; None of what is not there any more."""
        for ref, secret in told.items():
            if secret is None:
                self._secrets.pop(ref, None)
            else:
                self._secrets[ref] = secret
        self.broadcast(Kind.SECRETS, dict(told))

    def resolved(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with what DNS says of its names."""
        named = {
            name: with_addresses(cluster, self._names)
            for name, cluster in snapshot.clusters.items()
            if cluster.names
        }
        return replace(snapshot, clusters={**snapshot.clusters, **named}) if named else snapshot

    def broadcast(self, kind: Kind, value: object = None) -> None:
        body = b"" if value is None else pickle.dumps(value)
        for member in self._members.values():
            member.channel.send(kind, body)

    @property
    def ready(self) -> bool:
        """Whether some worker carries traffic by the newest configuration, and none by an older."""
        generations = [m.generation for m in self._members.values() if not m.stopping]
        return (
            bool(self._generation)
            and bool(generations)
            and all(generation == self._generation for generation in generations)
        )

    @property
    def serving(self) -> int:
        """Workers that have a plan."""
        return sum(1 for member in self._members.values() if member.generation)

    @property
    def pids(self) -> list[int]:
        return [member.pid for member in self._members.values() if member.pid]

    # Hearing from workers.

    def _on_message(self, member: Member, kind: Kind, body: bytes) -> None:
        match kind:
            case Kind.COMMITTED:
                member.generation = pickle.loads(body)
                self.rejection = ""
                if self._loop.time() - member.started > _SHORT_LIFE:
                    self._failures = 0
                self.on_change()
            case Kind.REJECTED:
                _, self.rejection = pickle.loads(body)
                self.on_change()
            case Kind.COUNTS:
                member.counts = marshal.loads(body)
                member.told.set()
            case Kind.HOST_COUNTS:
                member.hosts = marshal.loads(body)
                member.told_hosts.set()
            case Kind.BUSY:
                member.busy = pickle.loads(body)
            case Kind.STOPPED:
                member.counts = marshal.loads(body)
                member.stopping = True

    def _on_channel_closed(self, member: Member) -> None:
        """The worker has ended, or is about to: the zygote will tell how, if there is one."""
        if self.lost and self._members.pop(member.row, None) is not None:
            self._one_ended.set()

    def _on_news(self) -> None:
        """The zygote tells of a fork, or of an end."""
        while True:
            try:
                data = self._zygote.recv(NEWS.size)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._zygote_gone()
                return
            news, first, second = NEWS.unpack(data)
            if news == ENDED:
                self._on_end(first, second)
            elif first in self._members:
                self._members[first].pid = second

    def _zygote_gone(self) -> None:
        self._loop.remove_reader(self._zygote)
        if not self._ending:
            self.lost = True
            _log.critical("the process that forks workers has died; ending, to be started anew")

    def _on_end(self, pid: int, status: int) -> None:
        member = next((m for m in self._members.values() if m.pid == pid), None)
        if member is None:
            return
        del self._members[member.row]
        member.channel.close()
        self._one_ended.set()
        # What it held is given back, what it had counted is kept.
        self._page.clear(member.row)
        self._retired = merge([self._retired, member.counts])
        if not self._ending:
            how = f"signal {-code}" if (code := os.waitstatus_to_exitcode(status)) < 0 else code
            self.restarts["hung" if member.hung else "died"] += 1
            _log.error("worker %d ended (%s); starting another", pid, how)
            self._loop.call_later(self._delay(member), self._start_one)
        self.on_change()

    def _delay(self, member: Member) -> float:
        if self._loop.time() - member.started > _SHORT_LIFE:
            self._failures = 0
            return 0.0
        self._failures += 1
        return min(_SLOWEST, 0.1 * 2.0 ** (self._failures - 1)) if self._failures > 1 else 0.0

    def check_heartbeats(self, patience: float) -> None:
        """Kill workers that have not run for ``patience`` seconds; `_on_end` replaces them."""
        now = self._loop.time() * 1000
        for member in self._members.values():
            seen = self._page.row(member.row)[Column.HEARTBEAT]
            if member.pid and not member.hung and now - seen > patience * 1000:
                _log.error("worker %d has not run for %.0f s; killing it", member.pid, patience)
                member.hung = True
                _kill(member.pid)

    # Asking.

    async def counts(self) -> dict[str, Any]:
        """The sum over all workers, dead ones included. A worker that does not answer in time
        takes part with what it told last."""
        await self._ask(Kind.STATS, lambda member: member.told)
        return merge([self._retired, *(member.counts for member in self._members.values())])

    async def hosts(self) -> list[dict[tuple[str, str, int], tuple[int, ...]]]:
        """Each running worker's counts of endpoints, by cluster, IP and port."""
        asked = await self._ask(Kind.HOSTS, lambda member: member.told_hosts)
        return [member.hosts for member in asked if member.row in self._members]

    async def _ask(self, kind: Kind, told: Callable[[Member], asyncio.Event]) -> list[Member]:
        """Ask every worker, and wait until all have told, or long enough."""
        asked = list(self._members.values())
        for member in asked:
            told(member).clear()
            member.channel.send(kind)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER):
                for member in asked:
                    await told(member).wait()
        return asked

    # Ending.

    @property
    def in_flight(self) -> int:
        """Connections with work in flight, once told to drain; -1: not all workers have said."""
        busy = [member.busy for member in self._members.values()]
        return -1 if any(count < 0 for count in busy) else sum(busy)

    async def stop(self, seconds: float) -> None:
        """Tell all workers to end; kill those that do not in time."""
        self._ending = True
        self.broadcast(Kind.STOP)
        try:
            async with asyncio.timeout(seconds):
                while self._members:
                    self._one_ended.clear()
                    await self._one_ended.wait()
        except TimeoutError:
            _log.warning("%d workers do not end by themselves; killing them", len(self._members))
        for member in list(self._members.values()):
            _kill(member.pid)


def _kill(pid: int) -> None:
    try:
        if pid:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended by itself meanwhile
