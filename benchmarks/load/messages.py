"""gRPC streaming: on each stream a message goes out when the last one has come back.

Run as ``python -m benchmarks.load.messages``, it prints its result as JSON. Messages are counted in
both directions, as a proxy has to carry both. Their times are those of a round trip.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.load.frames import (
    ACK,
    DATA,
    END_STREAM,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    Reader,
    block,
    frame,
    headers,
    hello,
    message,
    open_window,
)
from benchmarks.load.h2load import CONNECTIONS, STREAMS
from benchmarks.load.request import HOST
from benchmarks.load.result import LoadError, LoadResult
from benchmarks.machine.cpus import pinned
from benchmarks.report.stats import percentile

BYTES = 100  # of a message
_ROOM = 1 << 20
_CALL = block(
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/shop.Products/Watch"),
    (":authority", HOST),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
    ("user-agent", "grpc-go/1.85.0"),
)
_MESSAGE = message(b"." * BYTES)


class Messages:
    def __init__(self, cpus: tuple[int, ...]) -> None:
        self._cpus = cpus

    def run(self, port: int, seconds: int) -> LoadResult:
        command = [sys.executable, "-m", "benchmarks.load.messages", str(port), str(seconds)]
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
            raise LoadError(f"the streaming load ended with {done.returncode}: {last}")
        return LoadResult(**json.loads(done.stdout))


class Connection:
    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.echoes = self.cut = 0
        self.times_us: list[float] = []
        self._reader = Reader()
        self._sent: dict[int, float] = {}
        self._taken = 0
        out = PREFACE + hello()
        for stream in range(1, 2 * STREAMS, 2):
            out += headers(stream, _CALL) + frame(DATA, 0, stream, _MESSAGE)
            self._sent[stream] = time.perf_counter()
        self.sock.sendall(out)

    def go_on(self) -> None:
        data = self.sock.recv(256 * 1024)
        if not data:
            raise ConnectionError("closed in the middle of a stream")
        now = time.perf_counter()
        out = bytearray()
        for kind, flags, stream, payload in self._reader.feed(data):
            if kind == DATA and payload:
                self.echoes += 1
                self._taken += len(payload)
                self.times_us.append((now - self._sent[stream]) * 1e6)
                self._sent[stream] = now
                out += frame(DATA, 0, stream, _MESSAGE)
            elif kind in (SETTINGS, PING) and not flags & ACK:
                out += frame(kind, ACK, 0, payload if kind == PING else b"")
            elif kind == RST_STREAM or (kind in (DATA, 1) and flags & END_STREAM):
                self.cut += 1
        if self._taken > _ROOM:
            out += open_window(self._taken)
            self._taken = 0
        if out:
            self.sock.sendall(out)


def generate(port: int, seconds: float) -> LoadResult:
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    start = now = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.sock, selectors.EVENT_READ, connection)
        while (now := time.perf_counter()) < start + seconds:
            for key, _ in selector.select(0.1):
                key.data.go_on()
    times = sorted(each for connection in connections for each in connection.times_us) or [0.0]
    echoes = sum(connection.echoes for connection in connections)
    cut = sum(connection.cut for connection in connections)
    for connection in connections:
        connection.sock.close()
    if not echoes:
        raise SystemExit("no message came back")
    return LoadResult(
        2 * echoes,
        now - start,
        percentile(times, 50),
        percentile(times, 99),
        {"read": cut} if cut else {},
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=int)
    given = parser.parse_args()
    print(json.dumps(asdict(generate(given.port, given.seconds))))


if __name__ == "__main__":
    main()
