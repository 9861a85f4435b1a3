"""What must hold at the end. Each thing that does not is a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from meshproxy.demo.counts import Count
from meshproxy.demo.figures import Sample, figures, shares

# Percentage points. The draw is random: with 6,000 calls an even split is off by more than this
# once in 300,000 runs.
TOLERANCE = 3.0


def failures(samples: Sequence[Sample]) -> list[str]:
    """Not one request may fail, and above all not while the configuration changes."""
    failed = [sample for sample in samples if sample.failed]
    if not failed:
        return []
    first = failed[0].error or f"status {failed[0].status}"
    return [f"{len(failed)} of {len(samples)} requests failed; the first: {first}."]


def split_faults(
    configured: Mapping[str, int], samples: Iterable[Sample], tolerance: float = TOLERANCE
) -> list[str]:
    """The calls must be divided as the weights say."""
    measured = figures(samples).versions
    if not measured:
        return ["No call was answered, so there is no split to look at."]
    wanted, got = shares(configured), shares(measured)
    return [
        f"{name} got {got.get(name, 0.0):.1f} % of the calls; configured are {share:.1f} %."
        for name, share in wanted.items()
        if abs(got.get(name, 0.0) - share) > tolerance
    ] + [f"{name} got calls and is not configured." for name in got if name not in wanted]


def disagreements(counts: Iterable[Count]) -> list[str]:
    """Everybody must have counted the same."""
    return [
        f"{count.what}: the answers say {count.expected}, the sidecar at the destination "
        f"{count.destination}{_source(count)}."
        for count in counts
        if not count.agrees
    ]


def _source(count: Count) -> str:
    return "" if count.source is None else f", the one at the source {count.source}"
