"""Problems: how they read, and what is guessed for a misspelt word."""

from __future__ import annotations

import pytest

from meshproxy.translate.problems import (
    Path,
    Problem,
    Report,
    Severity,
    did_you_mean,
    nearest,
    show_path,
)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ((), ""),
        (("spec",), "spec"),
        (("spec", "http", 0, "route", 11), "spec.http[0].route[11]"),
        (("metadata", "labels", "a.io/name"), 'metadata.labels["a.io/name"]'),
        (("spec", "mirror_percent"), "spec.mirror_percent"),
        (("spec", "set", "x-a"), "spec.set.x-a"),
        (("a", ""), 'a[""]'),
    ],
)  # fmt: skip
def test_show_path(path: Path, shown: str) -> None:
    assert show_path(path) == shown


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("subsett", ["subset", "host"], "subset"),
        ("trafficpolicy", ["trafficPolicy", "subsets"], "trafficPolicy"),
        ("xyz", ["subset", "host"], ""),
        ("a", [], ""),
    ],
)
def test_nearest(word: str, known: list[str], meant: str) -> None:
    assert nearest(word, known) == meant


def test_did_you_mean() -> None:
    assert did_you_mean("hots", ["host", "port"]) == "did you mean host?"
    assert did_you_mean("zzz", ["port", "host"]) == "known here: host, port"
    assert did_you_mean("zzz", []) == ""


def test_a_problem_as_one_line() -> None:
    problem = Problem(Severity.ERROR, "a.yaml", 7, "spec.host", "is required", "name one")
    assert str(problem) == "a.yaml:7: error: spec.host: is required (name one)"
    assert str(Problem(Severity.ERROR, "", 0, "", "no workload")) == "error: no workload"
    assert str(Problem(Severity.ERROR, "dir", 0, "", "gone")) == "dir: error: gone"
    assert str(Problem(Severity.NOTE, "a.yaml", 1, "", "skipped")) == "a.yaml:1: note: skipped"


def test_a_report_fails_by_errors_alone() -> None:
    report = Report()
    report.warn(("a",), "odd")
    assert not report.failed
    report.error(("a",), "wrong")
    assert report.failed
    assert [finding.text for finding in report.findings] == ["odd", "wrong"]
