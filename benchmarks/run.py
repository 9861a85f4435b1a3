"""A whole run: start everything, measure in turns, print, end everything again."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from benchmarks.load.paced import Paced
from benchmarks.load.probe import probe
from benchmarks.load.result import LoadError
from benchmarks.load.wrk import Wrk
from benchmarks.machine.cpus import Split, available, can_pin, keep_to, split
from benchmarks.machine.ports import Ports
from benchmarks.machine.processes import Process, StartError
from benchmarks.machine.tools import Missing, find
from benchmarks.options import Options
from benchmarks.peers.peer import Peer, Place, Running, running
from benchmarks.peers.upstream import start_upstream
from benchmarks.report.facts import facts
from benchmarks.report.page import disturbed, page
from benchmarks.report.progress import Progress
from benchmarks.report.sample import Sample, summaries
from benchmarks.report.save import save
from benchmarks.rounds import Load, estimate, measure, regimes

INTERRUPTED = 130  # what shells make of SIGINT


More = Callable[[Mapping[str, Running], Split], str]
"""Measures something else of the same proxies; what to print of it."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What stands on both sides of the proxies: the app, and the loads by their regime.

    Without ``loads``: those of HTTP/1.1.
    """

    start_app: Callable[[Path, Ports, tuple[int, ...]], tuple[Process, int, int]] = start_upstream
    loads: Callable[[Path, Split], dict[str, Load]] | None = None


def run(
    peers: Sequence[Peer],
    options: Options,
    base: str,
    more: More = lambda targets, cpus: "",
    ends: Ends = Ends(),
) -> int:
    """The exit status: 0; 1 if a row of ours had errors or the run can't be made; 130."""
    interrupt_on_signals()
    progress = Progress()
    try:
        with ExitStack() as stack:
            return _Run(options, base, progress, stack, ends).run(peers, more)
    except (Missing, StartError, LoadError) as error:
        progress.end()
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress.end()
        print("benchmarks: interrupted; everything that was started has been ended")
        return INTERRUPTED


class _Run:
    def __init__(
        self, options: Options, base: str, progress: Progress, stack: ExitStack, ends: Ends
    ) -> None:
        self._options = options
        self._ends = ends
        self._base = base
        self._progress = progress
        self._stack = stack
        self._ports = Ports()
        self._failed = False  # a row of ours did not do what it should
        folder = tempfile.TemporaryDirectory(prefix="meshproxy-bench-", ignore_cleanup_errors=True)
        self._folder = Path(stack.enter_context(folder))
        self._cpus = self._pin()

    def run(self, peers: Sequence[Peer], more: More) -> int:
        options = self._options
        loads = (self._ends.loads or self._http1_loads)(self._folder, self._cpus)
        targets = self._start(peers)
        if not targets:
            self._say("nothing is left to measure")
            return 1
        seconds = estimate(len(targets), len(loads), options.schedule)
        self._say(f"measuring for about {seconds / 60:.1f} minutes")
        show = self._progress.show
        samples = list(measure(targets, loads, options.schedule, self._cpus, show))
        self._progress.end()
        self._report(targets, samples, more(targets, self._cpus))
        return int(self._failed)

    def _http1_loads(self, folder: Path, cpus: Split) -> dict[str, Load]:
        options = self._options
        wrk = Wrk(find("wrk"), folder, cpus.load, options.connections)
        paced = Paced(options.rate, cpus.load, options.connections)
        saturated, steady = regimes(options.connections, options.rate)
        return {saturated: wrk, steady: paced}

    def _pin(self) -> Split:
        if not self._options.pinned:
            return Split()
        if not can_pin():
            self._say("taskset is missing (apt-get install util-linux): nothing is pinned")
            return Split()
        found = split(available(), self._options.concurrency)
        keep_to(found.load)
        if not found.proxy:
            self._say("one cpu alone: proxies and load share it, compare ratios with care")
        elif len(found.proxy) < self._options.concurrency:
            self._say(f"{self._options.concurrency} workers share {len(found.proxy)} cpu")
        return found

    def _start(self, peers: Sequence[Peer]) -> dict[str, Running]:
        upstream, v1, v2 = self._ends.start_app(
            self._new_folder("upstream"), self._ports, self._cpus.load
        )
        self._stack.enter_context(upstream)
        upstream.wait_for_port(v1)
        targets: dict[str, Running] = {}
        for peer in peers:
            self._progress.show(f"starting {peer.name}")
            place = Place(
                self._new_folder(peer.name),
                self._ports,
                self._cpus.proxy,
                self._options.concurrency,
                (v1, v2),
            )
            try:
                target = self._stack.enter_context(running(peer, place))
                self._check(target)
            except (Missing, StartError, OSError, ValueError) as error:
                self._say(f"{peer.name} is left out: {error}")
                self._failed |= peer.ours
            else:
                targets[peer.name] = target
        return targets

    def _check(self, target: Running) -> None:
        """That it forwards, and by weight. Raises `ValueError` with what is wrong."""
        found = probe(target.port)
        if found.bad:
            raise ValueError(f"{found.bad} of its first answers were not 200")
        if target.peer.weighted and not found.weighted:
            raise ValueError(f"it does not split 90:10 but {found.split}")

    def _report(self, targets: dict[str, Running], samples: Sequence[Sample], more: str) -> None:
        found = summaries(samples, self._base)
        memories = {name: target.memory() for name, target in targets.items()}
        known = facts(self._options, self._cpus, [target.peer for target in targets.values()])
        notes = disturbed(samples) if self._cpus.proxy else []
        notes += [
            f"{name} says of its configuration: {remark}"
            for name, target in targets.items()
            for remark in target.remarks()
        ]
        for peer in (target.peer for target in targets.values()):
            bad = sum(count for s in found if s.proxy == peer.name for count in s.errors.values())
            if peer.ours and bad:
                self._failed = True
                notes.append(f"{peer.name} had errors")
        width = max(map(len, known)) + 2
        for name, value in known.items():
            print(f"{name + ':':<{width}}{value}")
        print()
        print(page(found, memories, self._base))
        if more:
            print(f"\n{more}")
        for note in notes:
            print(f"note: {note}")
        if self._options.json is not None:
            save(self._options.json, known, samples, found, memories, notes)

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    def _say(self, text: str) -> None:
        self._progress.end()
        print(f"benchmarks: {text}", file=sys.stderr)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_signals() -> None:
    """Being told to end cleans up as Ctrl-C does; also where a shell had it ignored."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Once is enough: a second one would break off the cleaning up.
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
