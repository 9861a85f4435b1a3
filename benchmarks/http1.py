"""Plain HTTP/1.1 through Envoy, HAProxy, nginx and meshproxy, side by side in one run.

``python -m benchmarks.http1 --help`` says what can be asked for, ``benchmarks/README.md`` what the
figures mean.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.options import Options, parse
from benchmarks.peers.catalogue import BASE, CATALOGUE, COSTS, QUICK, USUAL
from benchmarks.peers.peer import Peer
from benchmarks.run import run


def choose(options: Options) -> list[Peer]:
    """The rows that were asked for."""
    usual = COSTS if options.costs else QUICK if options.quick else USUAL
    return [CATALOGUE[name]() for name in options.only or usual]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(__doc__ or "", arguments, list(CATALOGUE))
    return run(choose(options), options, BASE)


if __name__ == "__main__":
    sys.exit(main())
