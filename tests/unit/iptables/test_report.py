"""What goes to which stream."""

from __future__ import annotations

import pytest

from iptables.report import Report


def test_results_and_warnings_apart(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.text("* nat\n")
    report.say("done.")
    report.warn("careful.")
    report.fail("no.")
    assert capsys.readouterr() == ("* nat\ndone.\n", "warning: careful.\nerror: no.\n")
