"""What a large mesh costs: loading it, changing it, and each request in it.

    python -m benchmarks.size [--services N] [--seconds N]

Beside the service that is called stand N others (default 1,000), each with ten endpoints and three
routes. The same is measured with ten others, in turns. `make bench-size` runs a compiled copy.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.load.paced import Paced
from benchmarks.load.result import LoadError
from benchmarks.load.stretches import Latency, Stretches, compare
from benchmarks.load.wrk import Wrk
from benchmarks.machine.cpus import available, can_pin, keep_to, split
from benchmarks.machine.ports import Ports
from benchmarks.machine.processes import StartError
from benchmarks.machine.procfs import waited
from benchmarks.machine.tools import Missing, find
from benchmarks.peers.meshproxy import meshproxy
from benchmarks.peers.peer import Launch, Peer, Place, Running, running
from benchmarks.peers.upstream import start_upstream

_FEW = 10
_CONNECTIONS = 16
_RATE = 1000  # requests a second while configurations change
_CHANGES = 10
_PATIENCE = 10.0

_OTHER = """\
---
apiVersion: v1
kind: Service
metadata: {{name: s{n}, namespace: default}}
spec: {{selector: {{app: s{n}}}, clusterIP: {ip}, ports: [{{name: http, port: {port}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s{n}, namespace: default, labels: {{kubernetes.io/service-name: s{n}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints:
{endpoints}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: s{n}, namespace: default}}
spec:
  hosts: [s{n}]
  http:
  - {{match: [{{uri: {{prefix: /a}}}}], route: [{{destination: {{host: s{n}}}}}]}}
  - {{match: [{{headers: {{x-b: {{exact: b}}}}}}], route: [{{destination: {{host: s{n}}}}}]}}
  - {{route: [{{destination: {{host: s{n}}}}}]}}
"""
_MARKED = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: marked, namespace: default}}
spec:
  hosts: [s0]
  http: [{{directResponse: {{status: {status}}}}}]
"""


@dataclass
class Mesh:
    """A sidecar in a mesh of so many other services."""

    services: int
    target: Running
    folder: Path
    loaded: float  # seconds from start to the first answer

    def mark(self, status: int) -> None:
        """Change one document."""
        fresh = self.folder / ".next"
        fresh.write_text(_MARKED.format(status=status), encoding="utf-8")
        fresh.rename(self.folder / "0-marked.yaml")

    def change(self, status: int) -> float:
        """Seconds until a change is what callers get."""
        begun = time.monotonic()
        self.mark(status)
        connection = http.client.HTTPConnection("127.0.0.1", self.target.port, timeout=_PATIENCE)
        while time.monotonic() - begun < _PATIENCE:
            connection.request("GET", "/", headers={"Host": "s0"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == status:
                return time.monotonic() - begun
            time.sleep(0.002)
        raise LoadError(f"a change was not taken within {_PATIENCE:g} s")


def others(count: int, port: int) -> str:
    """The services that nobody calls, as YAML."""
    return "".join(
        _OTHER.format(
            n=n,
            ip=f"10.96.{n // 250}.{n % 250 + 1}",
            port=port,
            endpoints="\n".join(
                f"- {{addresses: [10.{k}.{n // 250}.{n % 250 + 1}]}}" for k in range(10)
            ),
        )
        for n in range(count)
    )


@contextmanager
def mesh(services: int, place: Place) -> Iterator[Mesh]:
    plain = meshproxy(f"{services} services", log="off")

    def prepare(place: Place) -> Launch:
        launch = plain.prepare(place)
        text = others(services, launch.port)
        (place.folder / "config" / "others.yaml").write_text(text, encoding="utf-8")
        (place.folder / "config" / "0-marked.yaml").write_text(_MARKED.format(status=200))
        return launch

    peer: Peer = replace(plain, prepare=prepare)
    begun = time.monotonic()
    with running(peer, place) as target:
        yield Mesh(services, target, place.folder / "config", time.monotonic() - begun)


def cost(found: Mesh, wrk: Wrk, seconds: int) -> float:
    """Processor time a request, in µs."""
    before = found.target.cpu_time()
    result = wrk.run(found.target.port, seconds)
    after = found.target.cpu_time()
    return (sum(after) - sum(before)) / result.requests * 1e6


def reloading(found: Mesh, paced: Paced, minutes: int) -> tuple[Latency, Latency]:
    """What requests take in seconds without and with a change, so many minutes of either."""
    statuses = itertools.cycle(range(211, 600))
    (worker,) = found.target.workers()
    with Stretches(lambda: found.mark(next(statuses)), lambda: waited(worker)) as stretches:
        result = paced.run(found.target.port, 2 * 60 * minutes, times=True)
    if result.errors:
        raise LoadError(f"requests failed: {dict(result.errors)}")
    return compare(result.times, stretches.found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="of what requests cost")
    parser.add_argument("--minutes", type=int, default=2, help="with changes, and as many without")
    options = parser.parse_args()
    try:
        with ExitStack() as stack:
            _measure(stack, options)
    except (Missing, StartError, LoadError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(stack: ExitStack, options: argparse.Namespace) -> None:
    seconds = options.seconds
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="meshproxy-size-")))
    cpus, ports = split(available() if can_pin() else (0,), 1), Ports()
    keep_to(cpus.load)
    (folder / "upstream").mkdir()
    upstream, v1, v2 = start_upstream(folder / "upstream", ports, cpus.load)
    stack.enter_context(upstream)
    upstream.wait_for_port(v1)
    meshes = []
    for count in (_FEW, options.services):
        (folder / str(count)).mkdir()
        place = Place(folder / str(count), ports, cpus.proxy, 1, (v1, v2))
        meshes.append(stack.enter_context(mesh(count, place)))
    wrk = Wrk(find("wrk"), folder, cpus.load, _CONNECTIONS)
    paced = Paced(_RATE, cpus.load, _CONNECTIONS)
    few, many = meshes
    rounds = [(cost(few, wrk, seconds), cost(many, wrk, seconds)) for _ in range(options.rounds)]
    changes = {each.services: [each.change(210 + n) for n in range(_CHANGES)] for each in meshes}
    print(f"{'services':>40}{few.services:>12}{many.services:>12}")
    _row("first load, s", [each.loaded for each in meshes])
    _row(
        "a change live, ms: median", [statistics.median(changes[m.services]) * 1e3 for m in meshes]
    )
    _row("a change live, ms: slowest", [max(changes[m.services]) * 1e3 for m in meshes])
    _row("a worker's PSS, MiB", [m.target.memory()["worker"][0].pss / 1024 for m in meshes])
    _row("all processes' PSS, MiB", [_all(m.target) for m in meshes])
    _row(
        "cpu µs/request: median",
        [statistics.median(column) for column in zip(*rounds, strict=True)],
    )
    ratio = statistics.median(large / small for small, large in rounds)
    print(f"{'the same, to the small mesh':>40}{1:>12.2f}{ratio:>12.2f}")
    _tell_reloading(many, paced, options.minutes)


def _tell_reloading(found: Mesh, paced: Paced, minutes: int) -> None:
    turns = "seconds with a change and without in turns"
    print(f"\n{_RATE} requests a second; {turns}, {minutes} min of each")
    print(f"{'':>16}{'p50, ms':>12}{'p99, ms':>12}{'slower than the quiet p99':>30}", end="")
    print(f"{'worker waited, µs/request':>30}")
    for name, latency in zip(("quiet", "a change"), reloading(found, paced, minutes), strict=True):
        times = f"{latency.p50 / 1e3:>12.2f}{latency.p99 / 1e3:>12.2f}"
        print(f"{name:>16}{times}{latency.slow:>28.2f} %{latency.waited:>30.1f}")


def _row(name: str, values: list[float]) -> None:
    print(f"{name:>40}" + "".join(f"{value:>12.2f}" for value in values))


def _all(target: Running) -> float:
    return sum(each.pss for each in target.memory()["all"]) / 1024


if __name__ == "__main__":
    sys.exit(main())
