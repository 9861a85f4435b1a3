"""What is said of a configuration that is read again and again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from meshproxy.runtime.configuration import Configuration
from meshproxy.translate import Options, Problem, Severity

_ERROR = Problem(Severity.ERROR, "a.yaml", 3, "spec.x", "is wrong")
_WARNING = Problem(Severity.WARNING, "a.yaml", 5, "spec.y", "has no effect")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [str(record.getMessage()) for record in caplog.records]
    caplog.clear()
    return found


def test_what_runs_is_said_once_and_what_is_refused_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    configuration = Configuration(str(tmp_path), Options())
    refused = "the new configuration is not used, the old one stays: 1 error"
    for _ in range(2):
        configuration._take(None, (_ERROR, _WARNING), 0.0)
        assert said(caplog) == [str(_ERROR), str(_WARNING), refused]
    # A warning of what was refused is news all the same once it is of what runs.
    configuration.accept((_WARNING,), 1.0)
    assert said(caplog) == [str(_WARNING)]
    configuration.accept((_WARNING,), 2.0)
    assert said(caplog) == []
    configuration._take(None, (_ERROR, _WARNING), 3.0)
    assert said(caplog) == [str(_ERROR), refused]
