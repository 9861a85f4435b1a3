"""The command line that the side-by-side benchmarks share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rounds import Schedule

_USUAL = Schedule(rounds=5, seconds=5)
_QUICK = Schedule(rounds=3, seconds=4, warm_up=1)  # two proxies: a minute in all


@dataclass(frozen=True, slots=True)
class Options:
    """``rate`` is requests a second of the steady load; ``speaks`` what is measured."""

    schedule: Schedule
    concurrency: int = 1
    connections: int = 16
    rate: int = 3000
    pinned: bool = True
    quick: bool = False
    costs: bool = False
    only: tuple[str, ...] = ()
    json: Path | None = None
    speaks: str = "plain HTTP/1.1"


def add_common(parser: argparse.ArgumentParser) -> None:
    """What both `benchmarks.http1` and `benchmarks.compare` take."""
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and shorter rounds: about a minute")
    add("--rounds", type=_positive, metavar="N", help=f"default: {_USUAL.rounds}")
    add("--seconds", type=_positive, metavar="N", help=f"of a round; default: {_USUAL.seconds}")
    add("--concurrency", type=_positive, metavar="N", default=1, help="workers; default: 1")
    add("--connections", type=_positive, metavar="N", default=16, help="default: 16")
    add("--rate", type=_positive, metavar="N", default=3000, help="steady load; default: 3000/s")
    add("--unpinned", action="store_true", help="let proxies and load share all processors")
    add("--json", type=Path, metavar="FILE", help="write every sample there, too")


def options(given: argparse.Namespace) -> Options:
    """From what `add_common` has parsed."""
    usual = _QUICK if given.quick else _USUAL
    return Options(
        Schedule(given.rounds or usual.rounds, given.seconds or usual.seconds, usual.warm_up),
        given.concurrency,
        given.connections,
        given.rate,
        not given.unpinned,
        given.quick,
        getattr(given, "costs", False),
        getattr(given, "only", ()),
        given.json,
    )


def parse(
    description: str,
    arguments: Sequence[str] | None,
    names: list[str],
    module: str = "benchmarks.http1",
) -> Options:
    """The command line of a program; ``names`` are the rows that there are."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description.split("\n\n")[0]
    )
    add_common(parser)
    if module == "benchmarks.http1":
        parser.add_argument(
            "--costs",
            action="store_true",
            help="what each feature of meshproxy costs: without log, text log, h11, TCP",
        )

    def rows(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        unknown = [name for name in chosen if name not in names]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(names)}")
        return chosen

    parser.add_argument(
        "--only", type=rows, default=(), metavar="ROW,...", help=f"of: {', '.join(names)}"
    )
    return options(parser.parse_args(arguments))


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
