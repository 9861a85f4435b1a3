"""No proxy at all: what the load and the upstream can do, and how long an answer takes without."""

from __future__ import annotations

from benchmarks.peers.peer import Launch, Peer, Place


def direct() -> Peer:
    does = "no proxy: the most that load and upstream can do"
    return Peer("direct", does, _prepare, weighted=False)


def _prepare(place: Place) -> Launch:
    return Launch([], place.upstreams[0])
