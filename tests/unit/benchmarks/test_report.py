"""From samples to tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.load.result import LoadResult
from benchmarks.machine.disturbance import Disturbance
from benchmarks.machine.procfs import CpuTime, Memory
from benchmarks.report.page import Memories, disturbed, page
from benchmarks.report.sample import Sample, summaries
from benchmarks.report.save import save
from benchmarks.report.stats import Spread, percentile, ratios, spread
from benchmarks.report.table import mebibytes, milliseconds, number, table


def sample(
    proxy: str,
    number: int,
    cpu: float,
    *,
    regime: str = "saturated",
    requests: int = 1000,
    errors: dict[str, int] | None = None,
    others: float = 0.0,
) -> Sample:
    return Sample(
        proxy,
        regime,
        number,
        LoadResult(requests, 2.0, 500.0, 1500.0, errors or {}),
        CpuTime(cpu * 0.75, cpu * 0.25),
        800 * requests,
        Disturbance(others, 0.0),
    )


def test_percentiles_are_values_that_were_there() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, p) for p in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7.0], 99) == 7


def test_a_spread() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_ratios_leave_out_what_cannot_be_divided_by() -> None:
    assert ratios([2.0, 3.0], [4.0, 0.0]) == [0.5]


def test_ratios_are_taken_within_rounds() -> None:
    # The machine is three times as slow in the second round: the ratio stays.
    found = summaries(
        [
            *(sample("envoy", 1, 0.10), sample("ours", 1, 0.05)),
            *(sample("envoy", 2, 0.30), sample("ours", 2, 0.15)),
            *(sample("envoy", 3, 0.10), sample("ours", 3, 0.06)),
        ],
        "envoy",
    )
    base, ours = found
    assert (base.proxy, base.rounds, base.ratio) == ("envoy", 3, Spread(1, 1, 1))
    assert ours.ratio is not None
    assert ours.ratio.median == pytest.approx(0.5)
    assert ours.ratio.greatest == pytest.approx(0.6)
    assert ours.cpu_us.median == pytest.approx(60)
    assert ours.user_us == pytest.approx(45)
    assert ours.system_us == pytest.approx(15)
    assert ours.rate == 500
    assert ours.log_bytes == 800


def test_without_the_base_there_is_no_ratio() -> None:
    (found,) = summaries([sample("ours", 1, 0.05)], "envoy")
    assert found.ratio is None


def test_errors_add_up_over_rounds() -> None:
    samples = [sample("ours", n, 0.05, errors={"read": n}) for n in (1, 2)]
    assert summaries(samples, "envoy")[0].errors == {"read": 3}


def test_a_load_that_got_nothing_through_does_not_divide_by_zero() -> None:
    (found,) = summaries([sample("ours", 1, 0.05, requests=0)], "envoy")
    assert found.rate == 0


def test_a_table() -> None:
    assert table(("", "cpu"), [("envoy", "9"), ("us", "10.5")]) == (
        "        cpu\n"  # two columns, the second to the right
        "-----  ----\n"
        "envoy     9\n"
        "us     10.5"
    )


def test_figures() -> None:
    assert [number(value) for value in (0.04, 999.94, 1000.4)] == ["0.0", "999.9", "1,000"]
    assert milliseconds(1234) == "1.23"
    assert mebibytes(2048) == "2.0"


def test_a_page() -> None:
    samples = [
        *(sample("envoy", 1, 0.10), sample("ours", 1, 0.05)),
        sample("direct", 1, 0.0),
        sample("ours", 1, 0.2, regime="steady", errors={"status": 2}),
    ]
    memories: Memories = {
        "ours": {"worker": [Memory(1024, 512)], "all": [Memory(1024, 512), Memory(2048, 512)]},
        "direct": {"worker": [], "all": []},
    }
    text = page(summaries(samples, "envoy"), memories, "envoy")
    saturated, steady, memory, legend = text.split("\n\n")
    assert saturated.startswith("Saturated\n")
    assert saturated.splitlines()[-2].split()[:6] == [
        *("ours", "50.0", "37.5", "12.5", "0.50", "(0.50-0.50)"),
    ]
    assert saturated.splitlines()[-1].split() == [
        *("direct", "-", "-", "-", "-", "-", "500", "0.50", "1.50", "800.0", "0"),
    ]
    assert steady.endswith("2 status")
    assert memory.splitlines()[-1].split() == ["ours", "1.0", "3.0", "1.0", "2"]
    assert "to envoy in the same round" in legend


def test_a_disturbed_run_is_said() -> None:
    quiet = [sample("ours", n, 0.05, others=0.02) for n in (1, 2)]
    assert disturbed(quiet) == []
    (said,) = disturbed([*quiet, sample("ours", 3, 0.05, others=0.4)])
    assert "2% of the proxies' cpu (median), 40% in the worst round" in said


def test_everything_is_saved(tmp_path: Path) -> None:
    samples = [sample("ours", 1, 0.05)]
    file = tmp_path / "new" / "run.json"
    memories = {"ours": {"worker": [Memory(1, 1)], "all": [Memory(1, 1)]}}
    save(file, {"python": "3"}, samples, summaries(samples, "envoy"), memories, ["a note"])
    read = json.loads(file.read_text())
    assert read["samples"][0]["load"]["requests"] == 1000
    assert read["memory_kib"]["ours"]["all"] == [{"pss": 1, "private": 1}]
    assert read["summaries"][0]["proxy"] == "ours"
