"""Before anything is measured: does the proxy do what it is said to do?"""

from __future__ import annotations

import socket
from collections import Counter
from typing import NamedTuple

from benchmarks.load.answer import Answer
from benchmarks.load.request import request_maker

_REQUESTS = 300


class Probed(NamedTuple):
    """``versions``: answers by the upstream that gave them, ``bad``: those of another status."""

    versions: dict[str, int]
    bad: int

    @property
    def split(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in sorted(self.versions.items()))

    @property
    def weighted(self) -> bool:
        """Whether 90:10 is believable: further off by chance once in some ten thousand runs."""
        share = self.versions.get("v2", 0) / max(1, sum(self.versions.values()))
        return 0.04 < share < 0.18


def probe(port: int) -> Probed:
    """Send some requests one after the other. Raises `OSError`, `ValueError`."""
    make = request_maker()
    versions: Counter[str] = Counter()
    bad = 0
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        for number in range(_REQUESTS):
            sock.sendall(make(number))
            answer = Answer()
            while not answer.feed(_received(sock)):
                pass
            if answer.status != 200:
                bad += 1
            else:
                versions[answer.body[:2].decode("latin-1")] += 1
    return Probed(dict(versions), bad)


def _received(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("closed in the middle of an answer")
    return data
