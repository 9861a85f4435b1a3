"""The whole report as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.machine.procfs import Memory
from benchmarks.report.sample import Sample, Summary
from benchmarks.report.stats import Spread, spread
from benchmarks.report.table import mebibytes, milliseconds, number, table

Memories = Mapping[str, Mapping[str, Sequence[Memory]]]  # by proxy, then "worker" and "all"

_HEAD = (
    *("", "cpu µs/request", "user", "system", "ratio", "(least-most)"),
    *("requests/s", "p50 ms", "p99 ms", "log B/request", "errors"),
)
_DISTURBED = 0.1  # a share of the proxy's cpu that others may have before it is worth a line


def page(summaries: Sequence[Summary], memories: Memories, base: str) -> str:
    """A table for each regime, and one of memory."""
    parts = []
    for regime in dict.fromkeys(summary.regime for summary in summaries):
        rows = [_row(summary) for summary in summaries if summary.regime == regime]
        parts.append(f"{regime[0].upper()}{regime[1:]}\n{table(_HEAD, rows)}")
    if memories:
        parts.append(f"Memory after it, MiB (PSS)\n{_memory(memories)}")
    if any(summary.ratio for summary in summaries):
        parts.append(
            f"ratio: processor time a request, to {base} in the same round; medians of all rounds."
        )
    return "\n\n".join(parts)


def _row(summary: Summary) -> tuple[str, ...]:
    own = summary.cpu_us.median > 0
    return (
        summary.proxy,
        number(summary.cpu_us.median) if own else "-",
        number(summary.user_us) if own else "-",
        number(summary.system_us) if own else "-",
        f"{summary.ratio.median:.2f}" if summary.ratio and own else "-",
        _range(summary.ratio) if summary.ratio and own else "-",
        f"{summary.rate:,.0f}",
        milliseconds(summary.p50_us),
        milliseconds(summary.p99_us),
        number(summary.log_bytes) if summary.log_bytes else "-",
        _errors(summary.errors),
    )


def _range(found: Spread) -> str:
    return f"({found.least:.2f}-{found.greatest:.2f})"


def _errors(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in errors.items()) or "0"


def _memory(memories: Memories) -> str:
    rows = []
    for name, found in memories.items():
        if not found["all"]:
            continue
        workers, processes = found["worker"], found["all"]
        rows.append(
            (
                name,
                mebibytes(max(memory.pss for memory in workers)),
                mebibytes(sum(memory.pss for memory in processes)),
                mebibytes(sum(memory.private for memory in processes)),
                str(len(processes)),
            )
        )
    return table(("", "a worker", "all processes", "of it private", "processes"), rows)


def disturbed(samples: Sequence[Sample]) -> list[str]:
    """A sentence each for what else had the proxies' processor, if it was much."""
    said = []
    for what, shares in (
        ("other work had", [sample.disturbance.others for sample in samples]),
        ("the hypervisor withheld", [sample.disturbance.steal for sample in samples]),
    ):
        found = spread(shares)
        if found.greatest > _DISTURBED:
            said.append(
                f"{what} {found.median:.0%} of the proxies' cpu (median), {found.greatest:.0%} in "
                "the worst round: repeat the run when the machine is quieter"
            )
    return said
