"""``python -m benchmarks.micro``: what requests and their steps cost in this process."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.micro.exchange import Exchanges
from benchmarks.micro.functions import FUNCTIONS
from benchmarks.micro.http2 import HTTP2, Http2Exchanges
from benchmarks.micro.timing import Block, Rounds, by_case, repeated, yardstick
from benchmarks.report.stats import ratios
from benchmarks.report.table import table

YARDSTICK = "yardstick"
EXCHANGES: dict[str, Callable[[], Block]] = {
    "request, JSON log": lambda: Exchanges("json").run,
    "request, text log": lambda: Exchanges("text").run,
    "request, no log": lambda: Exchanges("off").run,
    "request, JSON log, h11": lambda: Exchanges("json", "h11").run,
    "request, JSON log, HTTP/2": lambda: Http2Exchanges("json").run,
    "request, no log, HTTP/2": lambda: Http2Exchanges("off").run,
    "request, no log, HTTP/2, h2": lambda: Http2Exchanges("off", "h2").run,
}
CASES = {**EXCHANGES, **FUNCTIONS, **HTTP2}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, metavar="N", help="default: 25")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there, too")
    parser.add_argument(
        "--on-demand", action="store_true", help="a round as JSON for each line of standard input"
    )
    given = parser.parse_args(arguments)
    blocks, missing = make({name: case for name, case in CASES.items() if given.only in name})
    for name, reason in missing.items():
        print(f"benchmarks: {name} is left out: {reason}", file=sys.stderr)
    rounds = Rounds({YARDSTICK: repeated(yardstick), **blocks})
    if given.on_demand:
        for _ in sys.stdin:
            print(json.dumps(rounds.one()), flush=True)
        return 0
    found = by_case(rounds.one() for _ in range(given.rounds))
    print(report(found))
    if given.json is not None:
        given.json.write_text(json.dumps(found) + "\n")
    return int(not blocks)


def make(cases: Mapping[str, Callable[[], Block]]) -> tuple[dict[str, Block], dict[str, str]]:
    """The cases that can be made here, and why others can't: code moves, names stay."""
    made: dict[str, Block] = {}
    missing = {}
    for name, case in cases.items():
        try:
            made[name] = case()
            made[name](1)
        except Exception as error:
            made.pop(name, None)
            missing[name] = f"{type(error).__name__}: {error}"
    return made, missing


def report(found: Mapping[str, Sequence[float]]) -> str:
    """``found``: nanoseconds by case and round."""
    base = found[YARDSTICK]
    rows = [
        (
            name,
            f"{min(times):,.0f}",
            f"{median(times):,.0f}",
            f"{median(ratios(times, base)):.2f}",
        )
        for name, times in found.items()
    ]
    head = ("nanoseconds of processor time", "least", "median", "yardsticks")
    return table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
