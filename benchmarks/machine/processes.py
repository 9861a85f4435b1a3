"""Starting programs and ending them again, whatever happens; and none but those."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from benchmarks.machine.cpus import pinned
from benchmarks.machine.sink import Sink


class StartError(Exception):
    """A program did not come up; the message is one line."""


class Process:
    """A program in a session of its own, so that Ctrl-C reaches us alone and we end it in order.

    Its standard error goes to ``log``; its standard output to ``sink``, or to ``log`` too.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        cpus: tuple[int, ...],
        log: Path,
        sink: Sink | None = None,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = log
        self._sink = sink
        with log.open("ab") as file:
            self._child = self._start(pinned(command, cpus), file, cwd, environment)
        self.pid = self._child.pid

    def _start(
        self,
        command: list[str],
        log: IO[bytes],
        cwd: Path | None,
        environment: Mapping[str, str] | None,
    ) -> subprocess.Popen[bytes]:
        sink = self._sink
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink.writer if sink is not None else log,
                stderr=log,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise StartError(f"{self.name}: {command[0]}: {error.strerror}") from None
        finally:
            if sink is not None:
                sink.started()

    def wait_for_port(self, port: int, seconds: float = 10.0) -> None:
        """Until something listens there; `StartError` if the program ends or takes too long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._child.poll() is not None:
                raise StartError(f"{self.name} ended with {self._child.returncode}: {self.said()}")
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise StartError(f"{self.name} does not listen on port {port}: {self.said()}")

    def said(self) -> str:
        """The last line on its standard error."""
        lines = self.log_text().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def log_text(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """SIGTERM, and after three seconds SIGKILL to all that is left of its session."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(3.0)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # nothing is left
        self._child.wait()
        if self._sink is not None:
            self._sink.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
