"""What the benchmark has to know of a proxy, and a proxy that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine.ports import Ports
from benchmarks.machine.processes import Process
from benchmarks.machine.procfs import CpuTime, Memory, cpu_time, leaves, memory, read_tree
from benchmarks.machine.sink import Sink


@dataclass(frozen=True, slots=True)
class Place:
    """Where a proxy is started. ``folder`` is its own; ``upstreams`` are the ports of v1 and v2."""

    folder: Path
    ports: Ports
    cpus: tuple[int, ...]
    workers: int
    upstreams: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start it. ``logs``: its standard output is its access log."""

    command: list[str]
    port: int
    logs: bool = False
    cwd: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """``does`` says in a few words what it is asked to do for each request.

    ``prepare`` writes its configuration; it raises `Missing` where the program is not there.
    ``remarks`` reads from its standard error what else a reader of the figures should know.
    ``weighted``: it splits requests 90:10. ``ours``: its errors are ours, and fail the run.
    """

    name: str
    does: str
    prepare: Callable[[Place], Launch]
    version: Callable[[], str] = str
    remarks: Callable[[str], list[str]] = lambda text: []
    weighted: bool = True
    ours: bool = False


class Running:
    """A proxy that takes requests. ``process`` None: there is none, the upstream is called."""

    def __init__(self, peer: Peer, port: int, process: Process | None, sink: Sink | None) -> None:
        self.peer = peer
        self.port = port
        self._process = process
        self._sink = sink

    def cpu_time(self) -> CpuTime:
        """Of all its processes, since they were started."""
        return CpuTime(0, 0) if self._process is None else cpu_time(read_tree(self._process.pid))

    @property
    def log_bytes(self) -> int:
        return 0 if self._sink is None else self._sink.bytes

    def memory(self) -> dict[str, list[Memory]]:
        """Of processes that carry traffic (``worker``) and of all (``all``)."""
        if self._process is None:
            return {"worker": [], "all": []}
        tree = read_tree(self._process.pid)
        return {
            "worker": [memory(pid) for pid in leaves(tree)],
            "all": [memory(pid) for pid in tree],
        }

    def remarks(self) -> list[str]:
        return [] if self._process is None else self.peer.remarks(self._process.log_text())


@contextmanager
def running(peer: Peer, place: Place) -> Iterator[Running]:
    """Start a proxy and wait until it listens; end it afterwards."""
    launch = peer.prepare(place)
    if not launch.command:
        yield Running(peer, launch.port, None, None)
        return
    sink = Sink() if launch.logs else None
    log = place.folder / "stderr"
    with Process(
        peer.name, launch.command, place.cpus, log, sink, launch.cwd, launch.environment
    ) as process:
        process.wait_for_port(launch.port)
        yield Running(peer, launch.port, process, sink)
