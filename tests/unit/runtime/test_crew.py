"""What a worker is told before it gets its first plan."""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct

from meshproxy.model.secret import WORKLOAD, Secret, SecretRef
from meshproxy.model.snapshot import Snapshot, diff
from meshproxy.runtime.channel import Kind
from meshproxy.runtime.crew import Crew
from meshproxy.runtime.page import Page, new_page

_HEAD = struct.Struct("!IBB")


class Zygote:
    """Forks nobody: a worker's end of its channel is kept."""

    def __init__(self) -> None:
        self._workers: list[socket.socket] = []
        self.ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def worker(self) -> socket.socket:
        _, fds, _, _ = socket.recv_fds(self._theirs, 64, 1)
        self._workers.append(socket.socket(fileno=fds[0]))
        return self._workers[-1]

    def close(self) -> None:
        for each in (self.ours, self._theirs, *self._workers):
            each.close()


def messages(worker: socket.socket) -> list[tuple[Kind, bytes]]:
    worker.setblocking(False)
    data, found = worker.recv(1 << 20), []
    while data:
        length, kind, _ = _HEAD.unpack_from(data)
        found.append((Kind(kind), data[_HEAD.size : _HEAD.size + length]))
        data = data[_HEAD.size + length :]
    return found


def test_a_worker_that_comes_later_has_all_secrets_before_its_plan() -> None:
    loop, zygote = asyncio.new_event_loop(), Zygote()
    other = SecretRef(credential="shop/tls")
    secret = Secret(b"chain", b"key", b"roots")
    crew = Crew(loop, zygote.ours, Page(new_page()))
    try:
        crew.tell_secrets({WORKLOAD: secret, other: secret})
        crew.configure(1, diff(None, Snapshot()), {})
        crew.start(1)
        first = zygote.worker()
        told = messages(first)
        assert [kind for kind, _ in told] == [Kind.SECRETS, Kind.PARTS, Kind.COMMIT]
        assert pickle.loads(told[0][1]) == {WORKLOAD: secret, other: secret}

        fresh = Secret(b"chain 2", b"key 2", b"roots")
        crew.tell_secrets({WORKLOAD: fresh, other: None})
        ((kind, body),) = messages(first)
        assert kind is Kind.SECRETS
        assert pickle.loads(body) == {WORKLOAD: fresh, other: None}
        crew.start(1)
        second = zygote.worker()
        assert pickle.loads(messages(second)[0][1]) == {WORKLOAD: fresh}
    finally:
        for member in crew._members.values():
            member.channel.close()
        zygote.close()
        loop.close()
