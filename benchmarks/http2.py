"""HTTP/2 and gRPC through two sidecars with mutual TLS: requests, unary calls, streamed messages.

    python -m benchmarks.http2 [--quick]

The chain is that of `benchmarks.mtls`, spoken in HTTP/2 from end to end, beside Envoy's.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.load.h2load import CONNECTIONS, STREAMS, H2load
from benchmarks.load.messages import BYTES, Messages
from benchmarks.machine.cpus import Split
from benchmarks.machine.tools import find
from benchmarks.options import parse
from benchmarks.peers.chain import envoy_chain, issue, meshproxy_chain
from benchmarks.peers.frames_app import start_frames_app
from benchmarks.peers.peer import Peer
from benchmarks.rounds import Load
from benchmarks.run import Ends, run

_BASE = "envoy"


def main(arguments: Sequence[str] | None = None) -> int:
    given = parse(__doc__ or "", arguments, ["envoy", "meshproxy"], "benchmarks.http2")
    options = replace(given, speaks="HTTP/2 over mutual TLS")
    with tempfile.TemporaryDirectory(prefix="meshproxy-certs-") as folder:
        certificates = issue(Path(folder))
        rows = {"envoy": envoy_chain, "meshproxy": meshproxy_chain}
        peers: list[Peer] = [rows[name](certificates, "http2") for name in options.only or rows]
        return run(peers, options, _BASE, ends=Ends(start_frames_app, _loads))


def _loads(folder: Path, cpus: Split) -> dict[str, Load]:
    program = find("h2load")
    busy = f"{CONNECTIONS} connections of {STREAMS} streams"
    return {
        f"HTTP/2, {busy}": H2load(program, folder, cpus.load, grpc=False),
        f"unary gRPC calls, {busy}": H2load(program, folder, cpus.load, grpc=True),
        f"streamed gRPC messages, {busy}; a request is a message of {BYTES} bytes": Messages(
            cpus.load
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
