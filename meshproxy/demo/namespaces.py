"""Network namespaces: one a pod, joined by a bridge in one of its own.

In the machine's own namespace, bridged frames could run through the machine's firewall rules
(net.bridge.bridge-nf-call-iptables); the bridge's own namespace stands for the node instead.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from meshproxy.demo.errors import Unavailable
from meshproxy.demo.system import last_line, run

_FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # linux/sched.h


def path(name: str) -> str:
    return str(_FOLDER / name)


def named(prefix: str) -> list[str]:
    """The namespaces whose names begin so."""
    with contextlib.suppress(OSError):
        return sorted(name for name in os.listdir(_FOLDER) if name.startswith(prefix))
    return []


def make(node: str, address: str, pods: Mapping[str, str]) -> None:
    """The node with its bridge, and pods: namespaces and their addresses. Raises `Unavailable`."""
    _ip([f"netns add {name}" for name in (node, *pods)])
    lines = [
        "link add br0 type bridge",
        "link set lo up",
        f"addr add {address}/24 dev br0",
        "link set br0 up",
    ]
    for number, name in enumerate(pods):
        lines.append(f"link add v{number} type veth peer name eth0 netns {name}")
        lines.append(f"link set v{number} master br0 up")
    _ip(lines, node)
    for name, ip in pods.items():
        # As in a cluster every address is somewhere, though nobody answers for virtual ones.
        _ip(
            [
                "link set lo up",
                f"addr add {ip}/24 dev eth0",
                "link set eth0 up",
                "route add default dev eth0",
            ],
            name,
        )


def remove(name: str) -> None:
    """End what runs in a namespace and remove it."""
    for pid in run(["ip", "netns", "pids", name]).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run(["ip", "netns", "del", name])


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Be in a namespace for a while, and with this thread the threads that it starts."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        wanted = os.open(path(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(wanted)
        finally:
            os.close(wanted)
        try:
            yield
        finally:
            _enter(before)
    finally:
        os.close(before)


def _enter(descriptor: int) -> None:
    # os.setns is in Python from 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _ip(lines: Sequence[str], namespace: str = "") -> None:
    where = ["-n", namespace] if namespace else []
    done = run(["ip", *where, "-batch", "-"], "\n".join([*lines, ""]))
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[:1] or [last_line(done)]
        raise Unavailable(f"network namespaces can't be made here ({said[0]})")
