"""A steady rate: requests come when they come, whether or not earlier ones are answered.

A sidecar is idle most of the time, and a request that wakes it costs more than one of a crowd. So
arrivals are random (exponential gaps, as those of many independent callers are), and time is
counted from the moment a request was due: one that waits for a slow answer before it can be sent
has waited.

Run as ``python -m benchmarks.load.paced``, it prints its result as JSON. It is one thread around
select(2), whose time-out is exact to microseconds where those of event loops are milliseconds.
"""

from __future__ import annotations

import argparse
import json
import random
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.load.answer import Answer
from benchmarks.load.request import request_maker
from benchmarks.load.result import LoadError, LoadResult
from benchmarks.machine.cpus import pinned
from benchmarks.report.stats import percentile

_GRACE = 2.0  # seconds that the last answers have


class Paced:
    """``rate`` is requests a second, over all connections."""

    def __init__(self, rate: int, cpus: tuple[int, ...], connections: int) -> None:
        self.rate = rate
        self._cpus = cpus
        self._connections = connections

    def run(self, port: int, seconds: int, times: bool = False) -> LoadResult:
        """``times``: of each request, too."""
        command = [
            *(sys.executable, "-m", "benchmarks.load.paced", "--port", str(port)),
            *("--rate", str(self.rate), "--seconds", str(seconds)),
            *("--connections", str(self._connections)),
            *(["--times"] if times else []),
        ]
        done = subprocess.run(
            pinned(command, self._cpus),
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1]
            raise LoadError(f"the paced load ended with {done.returncode}: {last}")
        return LoadResult(**json.loads(done.stdout))


class Generator:
    """Connections that are idle wait in a queue; a request that finds none waits too."""

    def __init__(self, port: int, connections: int) -> None:
        self._address = ("127.0.0.1", port)
        self._idle: deque[socket.socket] = deque()
        self._busy: dict[socket.socket, tuple[float, Answer]] = {}
        self._make = request_maker()
        self._sent = 0
        self.times: list[tuple[float, float]] = []
        self.errors: Counter[str] = Counter()
        for _ in range(connections):
            self._connect()

    def send(self, due: float) -> bool:
        """Send the request that was due at that time; False if no connection is idle."""
        if not self._idle:
            return False
        sock = self._idle.popleft()
        self._sent += 1
        self._busy[sock] = (due, Answer())
        try:
            sock.sendall(self._make(self._sent))
        except OSError:
            self._fail(sock, "write")
        return True

    def receive(self, seconds: float) -> None:
        """Wait so long at most for answers, and take those that come."""
        for sock in select.select(self._busy, (), (), seconds)[0]:
            due, answer = self._busy[sock]
            try:
                data = sock.recv(65536)
                complete = answer.feed(data)
            except (OSError, ValueError):
                data, complete = b"", False
            if not data:
                self._fail(sock, "read")
            elif complete:
                self.times.append((due, (time.perf_counter() - due) * 1e6))
                self.errors["status"] += answer.status != 200
                del self._busy[sock]
                self._idle.append(sock)

    @property
    def waiting(self) -> int:
        return len(self._busy)

    @property
    def connected(self) -> bool:
        return bool(self._idle or self._busy)

    def close(self) -> None:
        for sock in (*self._idle, *self._busy):
            sock.close()

    def _connect(self) -> None:
        try:
            sock = socket.create_connection(self._address, timeout=_GRACE)
        except OSError:
            self.errors["connect"] += 1
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._idle.append(sock)

    def _fail(self, sock: socket.socket, reason: str) -> None:
        """The connection is lost; another takes its place."""
        self.errors[reason] += 1
        del self._busy[sock]
        sock.close()
        self._connect()


def generate(port: int, rate: float, seconds: float, connections: int, seed: int) -> LoadResult:
    generator = Generator(port, connections)
    gap = random.Random(seed).expovariate
    start = now = time.perf_counter()
    end = start + seconds
    due = start + gap(rate)
    while now < end + _GRACE and (generator.waiting or (due < end and generator.connected)):
        while due <= now and due < end and generator.send(due):
            due += gap(rate)
        # Until the next is due; where it is due already, until a connection is idle.
        until = due if now < due < end else end + _GRACE
        generator.receive(max(0.0, until - time.perf_counter()))
        now = time.perf_counter()
    errors = generator.errors
    errors["timeout"] += generator.waiting
    generator.close()
    while due < end:
        errors["unsent"] += 1
        due += gap(rate)
    taken = sorted(us for _, us in generator.times) or [0.0]
    return LoadResult(
        len(generator.times),
        max(seconds, now - start),
        percentile(taken, 50),
        percentile(taken, 99),
        {name: count for name, count in errors.items() if count},
        generator.times,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("port", "rate", "seconds", "connections"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--times", action="store_true")
    given = parser.parse_args()
    result = generate(given.port, given.rate, given.seconds, given.connections, seed=1)
    print(json.dumps(asdict(result if given.times else replace(result, times=()))))


if __name__ == "__main__":
    main()
