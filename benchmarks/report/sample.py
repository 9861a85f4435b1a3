"""What one proxy did in one round, and what all its rounds amount to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.load.result import LoadResult
from benchmarks.machine.disturbance import Disturbance
from benchmarks.machine.procfs import CpuTime
from benchmarks.report.stats import Spread, ratios, spread


@dataclass(frozen=True, slots=True)
class Sample:
    """``cpu`` is that of all processes of the proxy, while ``load`` ran; seconds.

    ``log_bytes`` is what came through the access log's pipe meanwhile. ``part``: one of several
    programs of the proxy; "" for all together.
    """

    proxy: str
    regime: str
    round: int
    load: LoadResult
    cpu: CpuTime
    log_bytes: int
    disturbance: Disturbance
    part: str = ""

    def per_request(self, amount: float) -> float:
        return amount / max(1, self.load.requests)


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over rounds. ``cpu_us``, ``user_us``, ``system_us``: microseconds a request.

    ``ratio``: processor time a request by that of the base in the same round; None without base.
    """

    proxy: str
    regime: str
    rounds: int
    cpu_us: Spread
    user_us: float
    system_us: float
    ratio: Spread | None
    rate: float
    p50_us: float
    p99_us: float
    log_bytes: float
    errors: Mapping[str, int]


def cpu_us(samples: Iterable[Sample]) -> list[float]:
    return [sample.per_request(sample.cpu.total) * 1e6 for sample in samples]


def summarise(samples: Sequence[Sample], base: Sequence[Sample]) -> Summary:
    """``samples`` are one proxy's in one regime, ``base`` the base's, in the same rounds."""
    first = samples[0]
    own = cpu_us(samples)
    errors: Counter[str] = Counter()
    for sample in samples:
        errors.update(sample.load.errors)
    found = ratios(own, cpu_us(base)) if base else []
    return Summary(
        f"{first.proxy} {first.part}".rstrip(),
        first.regime,
        len(samples),
        spread(own),
        median(s.per_request(s.cpu.user) * 1e6 for s in samples),
        median(s.per_request(s.cpu.system) * 1e6 for s in samples),
        spread(found) if found else None,
        median(s.load.requests / s.load.seconds for s in samples),
        median(s.load.p50_us for s in samples),
        median(s.load.p99_us for s in samples),
        median(s.per_request(s.log_bytes) for s in samples),
        dict(errors),
    )


def summaries(samples: Sequence[Sample], base: str) -> list[Summary]:
    """One for each proxy and regime, in the order in which they were measured."""
    groups: dict[tuple[str, str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.regime, sample.proxy, sample.part), []).append(sample)
    return [
        summarise(group, _same_rounds(groups.get((regime, base, part), []), group))
        for (regime, _, part), group in groups.items()
    ]


def _same_rounds(base: Sequence[Sample], group: Sequence[Sample]) -> list[Sample]:
    """Empty unless the base has all rounds of the group: an interrupted run has not."""
    by_round = {sample.round: sample for sample in base}
    if any(sample.round not in by_round for sample in group):
        return []
    return [by_round[sample.round] for sample in group]
