"""Node as a child process that is spoken to in lines of JSON, with the package `ws`.

The package is installed by ``scripts/setup.sh node``, in the version of
``tests/support/websocket/package-lock.json``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.peers import PATIENCE, wait_until

NODE = shutil.which("node")
MODULES = Path.home() / ".cache/meshproxy/node/node_modules"
SCRIPTS = Path(__file__).parent / "websocket"

Event = dict[str, Any]


def missing() -> str:
    """Why it can't be used; "" where it can."""
    if NODE is None:
        return "Node is missing (Debian package nodejs)"
    if not (MODULES / "ws").is_dir():
        return "the Node package ws is missing (scripts/setup.sh node)"
    return ""


class Node:
    """A script that runs while the block does. ``events`` are what it has told so far."""

    def __init__(self, script: str, *arguments: str) -> None:
        assert NODE is not None
        self.events: list[Event] = []
        self._popen = subprocess.Popen(
            [NODE, str(SCRIPTS / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "NODE_PATH": str(MODULES)},
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self.events.append(json.loads(line))

    def __enter__(self) -> Self:
        self._reader.start()
        self.wait("ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(f"--- what Node told: {self.events[-20:]}")
        self._popen.kill()
        self._reader.join(PATIENCE)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.close()
        self._popen.stdout.close()
        self._popen.wait()

    def do(self, action: str, **more: Any) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps({"do": action, **more}) + "\n")
        self._popen.stdin.flush()

    def seen(self, event: str, **fields: Any) -> list[Event]:
        """Events of that name with these fields."""
        wanted = {"event": event, **fields}
        return [each for each in self.events if wanted.items() <= each.items()]

    def wait(self, event: str, patience: float = PATIENCE, **fields: Any) -> Event:
        """The first of them, once it has come."""
        found: list[Event] = wait_until(
            lambda: self.seen(event, **fields), f"{event} {fields}", patience=patience
        )
        return found[0]
