"""How long functions take, so that two runs of the same code say the same.

Processor time, not the wall clock: what else runs on the machine then counts for less. Cases take
turns in many short rounds; the least of a case's rounds is what it costs undisturbed. Machines
also change their speed, for seconds or for a day: against that stands a `yardstick` that is
measured in the same rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

Block = Callable[[int], None]
"""Does the thing so many times."""

_ROUND = 0.02  # seconds of each case in each round


def repeated(function: Callable[[], object]) -> Block:
    """A block out of a function."""

    def block(count: int) -> None:
        for _ in range(count):
            function()

    return block


class Rounds:
    """Cases with how often each is repeated in a round."""

    def __init__(self, blocks: Mapping[str, Block]) -> None:
        self._blocks = [(name, block, _calibrate(block)) for name, block in blocks.items()]

    def one(self) -> dict[str, float]:
        """Nanoseconds a time, of all threads of the process, for each case."""
        return {name: _timed(block, count) / count for name, block, count in self._blocks}


def by_case(rounds: Iterable[Mapping[str, float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for one in rounds:
        for name, time_ in one.items():
            found.setdefault(name, []).append(time_)
    return found


def _calibrate(block: Block) -> int:
    """How many fill a round. Doubling also warms up what is to be measured."""
    count = 1
    while (took := _timed(block, count)) < _ROUND / 4 * 1e9:
        count *= 2
    return max(1, int(count * _ROUND * 1e9 / took))


def _timed(block: Block, count: int) -> int:
    start = time.process_time_ns()
    block(count)
    return time.process_time_ns() - start


def yardstick() -> object:
    """A bit of what a proxy does all day: dictionaries, bytes, calls. Never to be changed."""
    headers = [(b"name-%d" % number, b"value") for number in range(8)]
    fields = {name.lower(): value for name, value in headers}
    line = b"\r\n".join(map(b": ".join, headers))
    return line.split(b"\r\n"), fields.get(b"name-3"), b"name-9" in fields
