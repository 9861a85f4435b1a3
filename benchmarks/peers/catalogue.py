"""All rows that can be asked for, by name."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.peers.direct import direct
from benchmarks.peers.envoy import envoy
from benchmarks.peers.haproxy import haproxy
from benchmarks.peers.meshproxy import meshproxy
from benchmarks.peers.nginx import nginx
from benchmarks.peers.peer import Peer

BASE = "envoy"  # what ratios are to

CATALOGUE: dict[str, Callable[[], Peer]] = {
    "envoy": envoy,
    "meshproxy": meshproxy,
    "haproxy": haproxy,
    "nginx": nginx,
    "direct": direct,
    "envoy-text": lambda: envoy("envoy-text", log="text"),
    "envoy-nolog": lambda: envoy("envoy-nolog", log="off"),
    "meshproxy-text": lambda: meshproxy("meshproxy-text", log="text"),
    "meshproxy-nolog": lambda: meshproxy("meshproxy-nolog", log="off"),
    "meshproxy-h11": lambda: meshproxy("meshproxy-h11", codec="h11"),
    "meshproxy-tcp": lambda: meshproxy("meshproxy-tcp", log="off", protocol="tcp"),
}
USUAL = ("envoy", "meshproxy", "haproxy", "nginx", "direct")
QUICK = ("envoy", "meshproxy")
COSTS = (
    "envoy",
    "envoy-nolog",
    "meshproxy",
    "meshproxy-text",
    "meshproxy-nolog",
    "meshproxy-tcp",
    "meshproxy-h11",
)
