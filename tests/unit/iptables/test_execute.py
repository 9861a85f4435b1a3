"""Programs that are there, missing, or hang."""

from __future__ import annotations

import sys

import pytest

from iptables import execute
from iptables.errors import Failed
from iptables.execute import Runner


def test_output_errors_and_status() -> None:
    code = "import sys; print(input()); sys.stderr.write('oh'); sys.exit(3)"
    done = Runner().run((sys.executable, "-c", code), "hello\n")
    assert (done.status, done.output, done.errors) == (3, "hello\n", "oh")


def test_variables_are_added() -> None:
    code = "import os; print(os.environ['XTABLES_LOCKFILE'], 'PATH' in os.environ)"
    done = Runner({"XTABLES_LOCKFILE": "/x"}).run((sys.executable, "-c", code))
    assert done.output == "/x True\n"


def test_not_there() -> None:
    assert Runner().find("no-such-program-anywhere") is None
    with pytest.raises(Failed, match="can't be run: No such file or directory"):
        Runner().run(("/no/such/program",))


def test_found_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Runner().find("sh") is not None
    monkeypatch.delenv("PATH")
    assert Runner().find("sh") is not None


def test_a_program_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "LONGEST", 0.01)
    with pytest.raises(Failed, match="did not end within 0 s"):
        Runner().run((sys.executable, "-c", "import threading; threading.Event().wait()"))
