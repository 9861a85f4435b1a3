"""What is said of a configuration that is read again and again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from meshproxy.model.snapshot import Snapshot
from meshproxy.runtime.configuration import Configuration
from meshproxy.translate import Options, Problem, Severity, Translation

_ERROR = Problem(Severity.ERROR, "a.yaml", 3, "spec.x", "is wrong")
_WARNING = Problem(Severity.WARNING, "a.yaml", 5, "spec.y", "has no effect")

_GOOD = Translation(Snapshot(), (), objects=3, who="Pod a/b, named by --workload")


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
    configuration.accept(_GOOD, (_WARNING,), 1.0)
    assert said(caplog) == ["this is Pod a/b, named by --workload", str(_WARNING)]
    configuration.accept(_GOOD, (_WARNING,), 2.0)
    assert said(caplog) == []
    configuration._take(None, (_ERROR, _WARNING), 3.0)
    assert said(caplog) == [str(_ERROR), refused]


def test_files_that_are_emptied_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody may be writing still. From the start, or of one that was empty, it is all right."""
    caplog.set_level(logging.INFO)
    taken: list[Snapshot] = []
    configuration = Configuration(str(tmp_path), Options())
    configuration._apply = lambda snapshot, secrets: taken.append(snapshot)
    empty = Translation(Snapshot(), ())
    configuration.accept(empty, (), 0.0)
    configuration._take(empty, (), 1.0)
    configuration._take(_GOOD, (), 2.0)
    assert (len(taken), said(caplog)[-1]) == (2, "configuration 3 taken: 3 objects")
    configuration._take(empty, (), 3.0)
    assert (len(taken), configuration.results["rejected"]) == (2, 1)
    assert "holds no object any more" in configuration.rejected[0]
    configuration._take(_GOOD, (), 4.0)
    assert (len(taken), configuration.rejected) == (3, ())
