"""The demo for real, as a stranger would run it: what it shows, and that it leaves nothing."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.namespaces import REPOSITORY, environment, needed, python, wait_until

pytestmark = [pytest.mark.netns, needed("iptables")]

NOBODY = 65534
LONGEST = 120.0


class Demo:
    """One run of it. What it prints goes to a file."""

    def __init__(self, folder: Path, *arguments: str, uid: int = 0) -> None:
        self._output = folder / f"demo-{uid}-{time.monotonic_ns()}.log"
        self._temporary = folder
        gid = pwd.getpwuid(uid).pw_gid
        user = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"] if uid else []
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*user, python(), "-m", "meshproxy", "demo", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
                env=environment({"CI": "true", "TMPDIR": str(folder)}),
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    def wait(self) -> int:
        return self.process.wait(LONGEST)

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.output or self.process.poll() is not None, text, LONGEST)
        assert text in self.output, self.output

    def left(self) -> list[str]:
        """Namespaces, processes and folders that carry the name of this run."""
        mine = f"meshproxy-demo-{self.process.pid}-"
        return [
            *(name for name in _names(Path("/run/netns")) if name.startswith(mine)),
            *(path.name for path in self._temporary.glob(f"{mine}*")),
            *(line for line in _command_lines() if mine in line),
        ]

    def check_nothing_is_left(self) -> None:
        """A killed process may take a moment to be gone."""
        try:
            wait_until(lambda: self.left() == [], "everything to be gone")
        except TimeoutError:
            assert self.left() == []


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")


Start = Callable[..., Demo]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts demos; those that still run at the end are ended."""
    # Not below pytest's own folder, which is closed to other users.
    folder = Path("/tmp") / f"meshproxy-test-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    folder.chmod(0o1777)
    started: list[Demo] = []

    def make(*arguments: str, uid: int = 0) -> Demo:
        started.append(Demo(folder, *arguments, uid=uid))
        return started[-1]

    yield make
    for demo in started:
        demo.process.terminate()
        demo.wait()
    shutil.rmtree(folder)


def check_figures(output: str) -> None:
    """The demo judges itself; here are the figures that it must have shown to do so."""
    measured = re.findall(r"(\d+/\d+)  (v\d) +([\d.]+) % +([\d.]+) % +(\d+)", output)
    assert [row[:2] for row in measured] == [
        ("90/10", "v1"), ("90/10", "v2"), ("50/50", "v1"), ("50/50", "v2"),
    ]  # fmt: skip
    for _, _, configured, got, _ in measured:
        assert abs(float(configured) - float(got)) <= 3.0
    assert sum(int(row[4]) for row in measured) > 5000
    assert len(re.findall(r"none +[\d.]+ ms +[\d.]+ ms$", output, re.MULTILINE)) == 3
    assert len(re.findall(r"^  \w.+ yes$", output, re.MULTILINE)) == 5
    check_identities(output)
    assert re.search(r"^Passed: \d{4,} requests, not one failed\.$", output, re.MULTILINE)


def check_identities(output: str) -> None:
    """Both ends of each hop by name, and a third pod refused by its own."""
    who = r"spiffe://cluster\.local/ns/shop/sa/"
    for caller, called, status in (
        ("order", "inventory", "200"),
        ("order", "echo", "TCP"),
        ("visitor", "inventory", "403"),
    ):
        row = rf"^  {who}{caller} +{who}{called} +mutual_tls +{status} +[1-9]"
        assert re.search(row, output, re.MULTILINE), (caller, called)
    assert "The visitor called the inventory: 403 RBAC: access denied." in output
    assert "without a certificate: connection reset by peer." in output


def test_with_redirect_rules(start: Start) -> None:
    demo = start()
    assert demo.wait() == 0, demo.output
    check_figures(demo.output)
    assert "network namespaces" in demo.output
    assert "Without redirect rules" not in demo.output
    # The order front dialled a virtual address, and the inventory's own sidecar called its app.
    assert "10.96.0.20:8080" in demo.output
    assert "127.0.0.6" in demo.output
    turned = re.findall(r"^  (order|inventory-v\d|echo) +(\d+) +(\d+)$", demo.output, re.MULTILINE)
    assert len(turned) == 4
    assert all(int(into) > 0 for _, _, into in turned)
    demo.check_nothing_is_left()


def test_without_root(start: Start) -> None:
    demo = start(uid=NOBODY)
    assert demo.wait() == 0, demo.output
    first = demo.output.splitlines()[0]
    assert first.startswith("Without redirect rules (captureMode: NONE), because ")
    assert "root" in first
    check_figures(demo.output)
    demo.check_nothing_is_left()


class User:
    """A user who has ids to give away; the first in ``/etc/subuid`` that has an account."""

    def __init__(self) -> None:
        if shutil.which("newuidmap") is None:
            pytest.skip("newuidmap is missing (Debian package uidmap)")
        lines = [line.split(":") for line in Path("/etc/subuid").read_text().splitlines()]
        for name, first, count in lines:
            with contextlib.suppress(KeyError):
                self.uid = pwd.getpwnam(name).pw_uid
                self.others = range(int(first), int(first) + int(count))
                return
        pytest.skip("no user has subordinate ids (/etc/subuid)")

    def processes(self) -> list[str]:
        """Of the users in this user's namespaces: status, and what started them."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and entry.stat().st_uid in self.others:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found.append(f"{(entry / 'stat').read_text()} {line}")
        return found

    def check_nothing_is_left(self) -> None:
        try:
            wait_until(lambda: not self.processes(), "everything to be gone")
        except TimeoutError:
            assert self.processes() == []


def test_a_plain_user_with_ids_to_give_away(start: Start) -> None:
    """In a user namespace: the same as root sees, rules and all."""
    user = User()
    demo = start(uid=user.uid)
    assert demo.wait() == 0, demo.output
    assert "As a plain user: in a user namespace" in demo.output.splitlines()[0]
    assert "connections that the rules redirected" in demo.output
    check_figures(demo.output)
    user.check_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_plain_users_demo_is_ended(start: Start, number: signal.Signals) -> None:
    user = User()
    demo = start(uid=user.uid)
    demo.wait_for("90/10 between")
    assert user.processes()
    demo.process.send_signal(number)
    assert demo.wait() == (130 if number is signal.SIGTERM else -number)
    user.check_nothing_is_left()


def test_redirect_that_was_asked_for_is_not_replaced(start: Start) -> None:
    demo = start("--capture-mode", "REDIRECT", uid=NOBODY)
    assert demo.wait() == 1
    assert "need root" in demo.output
    demo.check_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_cleans_up(start: Start, number: signal.Signals) -> None:
    demo = start()
    demo.wait_for("90/10 between")
    assert demo.left() != []
    demo.process.send_signal(number)
    assert demo.wait() == 130
    assert "Interrupted; cleaning up." in demo.output
    demo.check_nothing_is_left()


def test_an_impatient_user_changes_nothing(start: Start) -> None:
    """Ctrl-C again and again, from the start: to the whole process group, as a terminal does."""
    demo = start()
    demo.wait_for("pods as network namespaces")
    while demo.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(demo.process.pid, signal.SIGINT)
        time.sleep(0.001)
    assert demo.process.returncode != 0
    demo.check_nothing_is_left()


@pytest.mark.parametrize("mode", ["REDIRECT", pytest.param("NONE", marks=pytest.mark.long)])
def test_the_next_run_cleans_up_after_a_killed_one(start: Start, mode: str) -> None:
    living = start("--capture-mode", mode)
    living.wait_for("90/10 between")
    killed = start("--capture-mode", mode)
    killed.wait_for("90/10 between")
    killed.process.kill()
    killed.wait()
    assert killed.left() != []
    following = start("--capture-mode", mode)
    following.wait_for("Cleaning up after an earlier run that was killed.")
    following.wait_for("90/10 between")
    killed.check_nothing_is_left()
    # A run that lives is nobody's leftover.
    assert living.wait() == 0, living.output
    following.process.send_signal(signal.SIGINT)
    assert following.wait() == 130
    following.check_nothing_is_left()
    living.check_nothing_is_left()


def test_a_program_that_dies_is_named(start: Start) -> None:
    demo = start("--capture-mode", "NONE")
    demo.wait_for("90/10 between")
    mine = f"meshproxy-demo-{demo.process.pid}-"
    echo = next(
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if mine.encode() in (text := path.read_bytes()) and b"echo.py" in text
    )
    os.kill(echo, signal.SIGKILL)
    assert demo.wait() == 1
    assert "The demo failed: " in demo.output
    demo.check_nothing_is_left()
