"""What the benchmark has to know of a proxy, and a proxy that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine.ports import Ports
from benchmarks.machine.processes import Process
from benchmarks.machine.procfs import (
    CpuTime,
    Memory,
    cpu_time,
    leaves,
    memory,
    read_tree,
    total,
)
from benchmarks.machine.sink import Sink

# The two sidecars between an app and the app that it calls.
OUTBOUND, INBOUND = "outbound", "inbound"


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
    """How to start it. ``logs``: its standard output is its access log.

    ``inbound``: the sidecar of the app that is called, where that is measured too.
    """

    command: list[str]
    port: int
    logs: bool = False
    cwd: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    inbound: Launch | None = None


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


@dataclass(frozen=True, slots=True)
class Part:
    """One program of a proxy."""

    process: Process
    sink: Sink | None
    port: int

    def cpu_time(self) -> CpuTime:
        """Of all its processes, since they were started."""
        return cpu_time(read_tree(self.process.pid))


class Running:
    """A proxy that takes requests. Without ``parts`` there is none, the upstream is called."""

    def __init__(self, peer: Peer, port: int, parts: Mapping[str, Part]) -> None:
        self.peer = peer
        self.port = port
        self.parts = parts

    def cpu_times(self) -> dict[str, CpuTime]:
        """Of each part, since it was started."""
        return {name: part.cpu_time() for name, part in self.parts.items()}

    def cpu_time(self) -> CpuTime:
        """Of all parts."""
        return total(self.cpu_times().values())

    @property
    def log_bytes(self) -> int:
        return sum(part.sink.bytes for part in self.parts.values() if part.sink is not None)

    def workers(self) -> list[int]:
        """The processes that carry traffic."""
        trees = [read_tree(part.process.pid) for part in self.parts.values()]
        return [pid for tree in trees for pid in leaves(tree)]

    def memory(self) -> dict[str, list[Memory]]:
        """Of processes that carry traffic (``worker``) and of all (``all``)."""
        trees = [read_tree(part.process.pid) for part in self.parts.values()]
        return {
            "worker": [memory(pid) for pid in self.workers()],
            "all": [memory(pid) for tree in trees for pid in tree],
        }

    def remarks(self) -> list[str]:
        texts = [part.process.log_text() for part in self.parts.values()]
        return [remark for text in texts for remark in self.peer.remarks(text)]


@contextmanager
def running(peer: Peer, place: Place) -> Iterator[Running]:
    """Start a proxy and wait until it listens; end it afterwards."""
    launch = peer.prepare(place)
    if not launch.command:
        yield Running(peer, launch.port, {})
        return
    launches = {OUTBOUND: launch}
    if launch.inbound is not None:
        launches = {INBOUND: launch.inbound, **launches}
    with ExitStack() as stack:
        parts = {
            name: stack.enter_context(_started(f"{peer.name} {name}", each, place))
            for name, each in launches.items()
        }
        yield Running(peer, launch.port, parts)


@contextmanager
def _started(name: str, launch: Launch, place: Place) -> Iterator[Part]:
    sink = Sink() if launch.logs else None
    log = place.folder / f"stderr-{launch.port}"
    with Process(
        name, launch.command, place.cpus, log, sink, launch.cwd, launch.environment
    ) as process:
        process.wait_for_port(launch.port)
        yield Part(process, sink, launch.port)
