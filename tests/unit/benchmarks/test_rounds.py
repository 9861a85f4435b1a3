"""The order of measuring."""

from __future__ import annotations

from benchmarks.load.result import LoadResult
from benchmarks.machine.cpus import Split
from benchmarks.machine.procfs import CpuTime
from benchmarks.rounds import Schedule, estimate, measure


class Proxy:
    """Spends 2 ms of processor time and logs 10 bytes for each request it is sent."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests = 0

    def cpu_times(self) -> dict[str, CpuTime]:
        return {"outbound": CpuTime(self.requests * 0.001, self.requests * 0.001)}

    @property
    def log_bytes(self) -> int:
        return self.requests * 10


class Load:
    def __init__(self, name: str, proxies: list[Proxy], calls: list[tuple[str, int, int]]) -> None:
        self._name = name
        self._proxies = proxies
        self._calls = calls

    def run(self, port: int, seconds: int) -> LoadResult:
        self._calls.append((self._name, port, seconds))
        next(proxy for proxy in self._proxies if proxy.port == port).requests += 100
        return LoadResult(100, float(seconds), 1.0, 2.0)


def test_proxies_take_turns_and_warming_up_is_not_counted() -> None:
    proxies = [Proxy(1), Proxy(2)]
    calls: list[tuple[str, int, int]] = []
    loads = {name: Load(name, proxies, calls) for name in ("full", "slow")}
    targets = {"a": proxies[0], "b": proxies[1]}
    said: list[str] = []
    samples = list(measure(targets, loads, Schedule(2, 5, 1), Split(), said.append))
    assert calls[:2] == [("full", 1, 1), ("full", 2, 1)]
    assert calls[2:6] == [("full", 1, 5), ("full", 2, 5), ("slow", 1, 5), ("slow", 2, 5)]
    assert calls[6:] == calls[2:6]
    assert [(s.proxy, s.regime, s.round) for s in samples[:4]] == [
        *(("a", "full", 1), ("b", "full", 1), ("a", "slow", 1), ("b", "slow", 1)),
    ]
    assert all(abs(sample.cpu.total - 0.2) < 1e-9 for sample in samples)
    assert all(sample.log_bytes == 1000 for sample in samples)
    assert said[0] == "warming up a"
    assert said[-1] == "round 2/2, slow: b"


class Pair(Proxy):
    """Two programs, of which one takes three times as long."""

    def cpu_times(self) -> dict[str, CpuTime]:
        return {
            name: CpuTime(self.requests * share, 0.0)
            for name, share in (("inbound", 0.001), ("outbound", 0.003))
        }


def test_what_each_of_two_programs_takes_is_told_too() -> None:
    proxies: list[Proxy] = [Pair(1)]
    load = {"full": Load("full", proxies, [])}
    samples = list(measure({"a": proxies[0]}, load, Schedule(1, 5, 1), Split(), len))
    assert [(s.part, round(s.cpu.total, 3), s.log_bytes) for s in samples] == [
        *(("", 0.4, 1000), ("inbound", 0.1, 0), ("outbound", 0.3, 0)),
    ]


def test_how_long_it_takes() -> None:
    assert 2 * 2 * 3 * 5 < estimate(2, 2, Schedule(3, 5, 1)) < 2 * 2 * 3 * 5 + 10
