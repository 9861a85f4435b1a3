"""For a plain user: a user namespace in which the demo is root, and its pods have other users.

That takes a kernel that lets users make namespaces, and ids for them to use (`/etc/subuid`, which
`adduser` fills): redirect rules tell the sidecar from the app by its uid. Everything in there ends
with it, so that nothing of a killed run is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from meshproxy.demo.system import environment, has, run

CONFINED = "MESHPROXY_DEMO_CONFINED"
"""Set in the environment of a demo that runs in such a namespace."""

_UNSHARE = (
    *("unshare", "--user", "--map-root-user", "--map-auto", "--net", "--mount"),
    *("--pid", "--fork", "--kill-child", "--mount-proc"),
)
# Names of namespaces, the lock of iptables and temporary files are to be its own.
_SETTLE = "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/netns /run/demo"
# `unshare` ends with us, however we end, and everything in the namespace with it.
_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_PROBE = "setpriv --reuid 1337 --regid 1337 --clear-groups true"


def available() -> bool:
    """Whether this user can have such a namespace here."""
    if os.geteuid() == 0 or not all(map(has, ("unshare", "setpriv", "newuidmap"))):
        return False
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return run([*_UNSHARE, "sh", "-c", f"{_SETTLE} && {_PROBE}"]).returncode == 0
    return False


def run_confined(arguments: Sequence[str]) -> int:
    """``meshproxy demo`` with these arguments in there; its exit status."""
    demo = [sys.executable, "-m", "meshproxy", "demo", *arguments]
    changed = {"PATH": environment()["PATH"], "TMPDIR": "/run/demo", CONFINED: "1"}
    child = subprocess.Popen(
        [*_WITH_US, *_UNSHARE, "sh", "-c", f'{_SETTLE} && exec "$@"', "sh", *demo],
        env={**os.environ, **changed},
    )

    def pass_on(number: int, frame: FrameType | None) -> None:
        # `unshare` itself takes no signals while it waits.
        for inner in _children(child.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(inner, number)

    # Ctrl-C reaches everybody at the terminal by itself.
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return [int(word) for word in text.split()]
    return []
