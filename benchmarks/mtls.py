"""Mutual TLS between two sidecars: a request on both hops, handshakes, and idle connections.

    python -m benchmarks.mtls [--quick]

The whole chain is measured, both sidecars of it together and each: caller, outbound sidecar, mutual
TLS, inbound sidecar, app. Beside Envoy's in the same rounds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.load.handshakes import handshakes, idle, room_for
from benchmarks.machine.cpus import Split
from benchmarks.machine.procfs import memory, read_tree
from benchmarks.options import Options, parse
from benchmarks.peers.chain import Certificates, envoy_chain, issue, meshproxy_chain
from benchmarks.peers.peer import INBOUND, Part, Peer, Running
from benchmarks.report.table import number, table
from benchmarks.run import run

_BASE = "envoy"
_IDLE = 1000  # connections
_SETTLE = 1.0  # seconds until memory is what it stays


def main(arguments: Sequence[str] | None = None) -> int:
    given = parse(__doc__ or "", arguments, ["envoy", "meshproxy"], "benchmarks.mtls")
    options = replace(given, speaks="HTTP/1.1 over mutual TLS")
    room_for(_IDLE)
    with tempfile.TemporaryDirectory(prefix="meshproxy-certs-") as folder:
        certificates = issue(Path(folder))
        rows = {"envoy": envoy_chain, "meshproxy": meshproxy_chain}
        peers: list[Peer] = [rows[name](certificates) for name in options.only or rows]

        def more(targets: Mapping[str, Running], cpus: Split) -> str:
            return _more(targets, cpus, certificates, options)

        return run(peers, options, _BASE, more)


def _more(
    targets: Mapping[str, Running], cpus: Split, certificates: Certificates, options: Options
) -> str:
    inbound = {name: target.parts[INBOUND] for name, target in targets.items()}
    found: dict[str, list[tuple[float | None, float | None]]] = {name: [] for name in inbound}
    for _ in range(options.schedule.rounds):
        for name, part in inbound.items():
            full, resumed = (
                _handshake_us(part, certificates.caller, options.schedule.seconds // 2, cpus, kind)
                for kind in (False, True)
            )
            found[name].append((full, resumed))
    rows = [
        (
            name,
            *_handshake_cells([full for full, _ in rounds]),
            *_handshake_cells([resumed for _, resumed in rounds]),
            f"{_idle_kib(inbound[name], certificates.caller):.1f}",
        )
        for name, rounds in found.items()
    ]
    head = (
        *("", "full: cpu µs", "by cpu second", "resumed: cpu µs", "by cpu second"),
        "idle: KiB each",
    )
    return f"Handshakes and {_IDLE:,} idle connections, inbound sidecar alone\n{table(head, rows)}"


def _handshake_us(
    part: Part, certificates: Path, seconds: int, cpus: Split, resumed: bool
) -> float | None:
    before = part.cpu_time()
    count = handshakes(part.port, certificates, seconds, cpus.load, resumed)
    if count is None:
        return None
    return part.cpu_time().minus(before).total / count * 1e6


def _handshake_cells(values: Sequence[float | None]) -> tuple[str, str]:
    known = [value for value in values if value is not None]
    if not known:
        return "-", "-"
    return number(median(known)), number(1e6 / median(known))


def _idle_kib(part: Part, certificates: Path) -> float:
    """What each idle connection adds, in all processes together."""
    before = _pss(part)
    with idle(part.port, certificates, _IDLE):
        time.sleep(_SETTLE)
        return (_pss(part) - before) / _IDLE


def _pss(part: Part) -> int:
    return sum(memory(pid).pss for pid in read_tree(part.process.pid))


if __name__ == "__main__":
    sys.exit(main())
