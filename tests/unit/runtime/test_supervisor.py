"""Signals that come before there is a loop to hear them; what is told of readiness."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from unittest.mock import Mock

import pytest

from meshproxy.runtime.supervisor import Supervisor

_BOOT = """
import os, sys
from unittest.mock import AsyncMock, Mock
import uvloop
from meshproxy.runtime.supervisor import Supervisor

loop = uvloop.new_event_loop()
crew = Mock(lost=False, in_flight=0, stop=AsyncMock())
supervisor = Supervisor(loop, crew, 5.0)
supervisor.take_signals()
os.kill(os.getpid(), int(sys.argv[1]))
ended = loop.run_until_complete(supervisor.run())
print(supervisor.draining, ended)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_boot_is_not_lost(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BOOT, str(int(number))],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


def test_readiness_is_told_as_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    crew = Mock(serving=0)
    supervisor = Supervisor(Mock(), crew, 5.0)
    supervisor.generation = 1
    for serving, missing in ((0, ""), (1, ""), (1, ""), (1, "no certificate"), (0, ""), (1, "")):
        crew.serving = serving
        supervisor.identity_reason = lambda missing=missing: missing
        supervisor.tell_readiness()
    assert [record.getMessage() for record in caplog.records] == [
        "ready",
        "not ready: no certificate",
        "not ready: waiting for a worker to take the configuration",
        "ready",
    ]
