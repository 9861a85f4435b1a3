"""Pods as network namespaces: a mesh in miniature on one machine, made in a tenth of a second.

    with Mesh("client", "server") as mesh:
        server = mesh["server"]
        process = server.start([PYTHON, "-m", "http.server", "8080"], uid=APP)
        process.wait_for_port(8080)
        mesh["client"].run(["curl", server.url(8080)], uid=APP)

Each pod has `eth0` with an IPv4 and an IPv6 address and is joined to the others by a bridge. The
bridge has a namespace of its own: in the machine's own, bridged frames could run through the
machine's rules (net.bridge.bridge-nf-call-iptables). Programs run as a uid, because redirect rules
go by owner. Names carry this process's id, so that parallel runs don't meet, and everything goes
when the block ends, however it ends; only what was started here is ever killed.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ("ip", "nsenter", "setpriv")
SYSTEM_PATH = "/usr/sbin:/sbin"

# The sidecar's user in every mesh that follows Istio, and a user for apps.
PROXY = 1337
APP = 1000

V4_NETWORK = "10.77.0"
V6_NETWORK = "fd77:"
# Longest wait for a condition; a machine under load is slow, a missing event is for ever.
PATIENCE = 20.0
POLL = 0.005

_serial = itertools.count(1)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, with the administrator's programs in PATH."""
    path = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"
    return {**os.environ, "PATH": path, **(extra or {})}


def tool(name: str) -> str | None:
    """The path of a system program, also where PATH leaves out the administrator's."""
    return shutil.which(name, path=environment()["PATH"])


@functools.cache
def missing(*tools: str) -> str:
    """Why namespaces can't be used here, or an empty text."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    lacking = [name for name in (*TOOLS, *tools) if tool(name) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    probe = _run("unshare", "--net", "true")
    return "" if probe.returncode == 0 else f"no new namespaces here: {probe.stderr.strip()}"


def needed(*tools: str) -> pytest.MarkDecorator:
    """The mark that skips a test where namespaces, or one of the tools, are missing."""
    import pytest  # here, so that a demonstration can make a mesh without it

    reason = missing(*tools)
    return pytest.mark.skipif(bool(reason), reason=reason)


@functools.cache
def python() -> str:
    """An interpreter that any user may run, with this project's packages if there is one.

    The one that runs the tests may lie under a closed home.
    """
    candidates = (sys.executable, str(REPOSITORY / ".venv/bin/python"), "/usr/bin/python3")
    for candidate in candidates:
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        with contextlib.suppress(OSError):
            argv = [*nobody, candidate, "-c", ""]
            if subprocess.run(argv, capture_output=True, check=False).returncode == 0:
                return candidate
    return sys.executable


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Return as soon as a condition holds. Raises `TimeoutError` with `what` was waited for."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience:.0f} s for {what}")
        time.sleep(POLL)


class Process:
    """A program in a pod. What it prints goes to a file, to be read at any time."""

    def __init__(self, argv: Sequence[str], name: str, log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(env),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its id; `nsenter` and `setpriv` replace themselves by the program."""
        return self._popen.pid

    @property
    def status(self) -> int | None:
        """How it ended, or `None`."""
        return self._popen.poll()

    def output(self) -> str:
        """Everything that it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for_port(self, port: int, protocol: str = "tcp") -> Self:
        """Return when something in this pod listens on a port; fail as soon as the program ends."""
        self.wait_until(lambda: self._listening(port, protocol), f"{protocol} port {port}")
        return self

    def wait_for_output(self, text: str) -> Self:
        """Return when it has printed a text."""
        self.wait_until(lambda: text in self.output(), f"{text!r} from it")
        return self

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, but not longer than the program lives."""
        wait_until(lambda: condition() or self.status is not None, f"{self.name}: {what}")
        if not condition():
            ended = f"{self.name} ended with {self.status} before {what}"
            raise ChildProcessError(f"{ended}:\n{self.output()}")

    def _listening(self, port: int, protocol: str) -> bool:
        # Columns of /proc/net/tcp: 1 is the local address, 3 the state (0A: listening).
        wanted = {"tcp": "0A", "udp": "07"}[protocol]
        for table in (protocol, f"{protocol}6"):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{self.pid}/net/{table}").read_text(encoding="ascii")
                rows = (line.split() for line in text.splitlines()[1:])
                if any(row[1].endswith(f":{port:04X}") and row[3] == wanted for row in rows):
                    return True
        return False

    def signal(self, number: int) -> None:
        """Send a signal to the program and its children, unless it has ended."""
        if self.status is None:  # afterwards its id may belong to somebody else
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit status, once it has ended."""
        return self._popen.wait(patience)

    def stop(self, patience: float = PATIENCE) -> int:
        """Ask it to end, and insist after a while."""
        self.signal(signal.SIGTERM)
        try:
            return self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it at once."""
        self.signal(signal.SIGKILL)
        return self._popen.wait()


class Pod:
    """One network namespace with its addresses."""

    def __init__(self, name: str, namespace: str, number: int, ipv6: bool, folder: Path) -> None:
        self.name = name
        self.namespace = namespace
        self.v4 = f"{V4_NETWORK}.{number}"
        self.v6 = f"{V6_NETWORK}:{number:x}" if ipv6 else ""
        self.processes: list[Process] = []
        self._folder = folder

    @property
    def path(self) -> str:
        """The namespace as a file."""
        return f"/run/netns/{self.namespace}"

    def url(self, port: int, path: str = "/") -> str:
        """Where an HTTP server of this pod is reached."""
        return f"http://{self.v4}:{port}{path}"

    def command(
        self, argv: Sequence[str], uid: int = 0, capabilities: Sequence[str] = ()
    ) -> list[str]:
        """A command line that runs here as a user (and group of the same number).

        `capabilities` (`net_raw`) are what the program keeps although it is not root.
        """
        inside = ["nsenter", f"--net={self.path}"]
        if uid:
            inside += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
            kept = ",".join(f"+{name}" for name in capabilities)
            inside += [f"--inh-caps={kept}", f"--ambient-caps={kept}"] if kept else []
        return [*inside, *argv]

    def run(
        self,
        argv: Sequence[str],
        uid: int = 0,
        text: str | None = None,
        patience: float = 30.0,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return its status and output."""
        return subprocess.run(
            self.command(argv, uid),
            input=text,
            capture_output=True,
            text=True,
            timeout=patience,
            env=environment(env),
            check=False,
        )

    def start(
        self,
        argv: Sequence[str],
        uid: int = 0,
        env: Mapping[str, str] | None = None,
        capabilities: Sequence[str] = (),
    ) -> Process:
        """Start a program that runs until the mesh ends, or is stopped."""
        number = len(self.processes) + 1
        log = self._folder / f"{self.name}-{number}.log"
        command = self.command(argv, uid, capabilities)
        title = " ".join(" ".join(argv).split())[:80]
        process = Process(command, f"{self.name}: {title}", log, env or {})
        self.processes.append(process)
        return process


class Mesh:
    """Pods on one bridge. Use it as a context manager; `mesh["name"]` is a pod."""

    def __init__(self, *names: str, ipv6: bool = True) -> None:
        self._prefix = f"mp{os.getpid()}-{next(_serial)}"
        self._switch = f"{self._prefix}-switch"
        self._ipv6 = ipv6
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self._prefix}-"))
        self.pods = {
            name: Pod(name, f"{self._prefix}-{name}", number, ipv6, self._folder)
            for number, name in enumerate(names, 1)
        }

    def __getitem__(self, name: str) -> Pod:
        return self.pods[name]

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._stop(error)
        finally:
            self._remove()

    def _stop(self, error: BaseException | None) -> None:
        """End all programs, together; what they said goes with the error that ended the block."""
        processes = [process for pod in self.pods.values() for process in pod.processes]
        for process in processes:
            process.signal(signal.SIGTERM)
        for process in processes:
            process.stop(patience=2.0)
        if error is not None:
            for process in processes:
                error.add_note(f"--- {process.name} ({process.status})\n{process.output()}")

    def _make(self) -> None:
        pods = list(self.pods.values())
        namespaces = [self._switch, *(pod.namespace for pod in pods)]
        _ip([f"netns add {name}" for name in namespaces])
        # Without snooping the bridge floods neighbour discovery, which nobody has asked for yet.
        switch = [
            "link add br0 type bridge mcast_snooping 0",
            "link set lo up",
            "link set br0 up",
        ]
        for number, pod in enumerate(pods):
            switch += [
                f"link add v{number} type veth peer name eth0 netns {pod.namespace}",
                f"link set v{number} master br0 up",
            ]
        _ip(switch, self._switch)
        for pod in pods:
            _ip(list(self._addresses(pod)), pod.namespace)

    def _addresses(self, pod: Pod) -> Iterator[str]:
        yield "link set lo up"
        yield f"addr add {pod.v4}/24 dev eth0"
        if self._ipv6:
            yield f"addr add {pod.v6}/64 dev eth0 nodad"
            yield "-6 addr add ::6/128 dev lo nodad"
        else:
            yield "link set eth0 addrgenmode none"
        yield "link set eth0 up"
        # As in a cluster, every address is somewhere; nobody answers for most of them.
        yield "route add default dev eth0"
        if self._ipv6:
            yield "-6 route add default dev eth0"

    def _remove(self) -> None:
        for name in (self._switch, *(pod.namespace for pod in self.pods.values())):
            if Path(f"/run/netns/{name}").exists():
                _kill_all(name)
                _run("ip", "netns", "del", name)
        shutil.rmtree(self._folder, ignore_errors=True)


def _run(program: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    argv = [program, *arguments]
    return subprocess.run(
        argv, input=text, capture_output=True, text=True, env=environment(), check=False
    )


def _kill_all(namespace: str) -> None:
    """What a program has left behind in a namespace of ours was started by us too."""
    for pid in _run("ip", "netns", "pids", namespace).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def _ip(lines: Sequence[str], namespace: str | None = None) -> None:
    """Many `ip` commands by one process a family; a line that starts with `-6` says which."""
    for six in (False, True):
        mine = [line.removeprefix("-6 ") for line in lines if line.startswith("-6") == six]
        if mine:
            where = ["-n", namespace] if namespace else []
            family = ["-6"] if six else []
            text = "\n".join([*mine, ""])
            done = _run("ip", *where, *family, "-batch", "-", text=text)
            if done.returncode != 0:
                raise RuntimeError(f"ip {namespace}: {done.stderr}\n{text}")
