"""Killed at any step, the next run finishes; failing at any step, a run leaves no trace.

A step is a table of `iptables-restore` (which commits table by table), a transaction of `nft`, or
an `ip` command. The program is run once for every step it has, and stopped there.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from iptables import cli
from tests.netns.test_iptables import ALL, BACKENDS, MUCH, put_foreign, saved
from tests.support.namespaces import REPOSITORY, Mesh, Pod, needed

pytestmark = [pytest.mark.netns, needed("iptables")]

# Stops at a step: kills itself, or lets the program that it has started fail from then on.
CHAOS = """
import json, os, re, signal, sys
from iptables import cli, execute
kind, last, argv = json.loads(sys.argv[1])
real, steps, failures = execute.Runner.run, 0, 0
def stop(tries):
    global failures
    failures += tries
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return execute.Result(1, "", "made to fail")
def run(self, argv, text=""):
    global steps, failures
    if failures > 1:
        return real(self, argv, text)  # it has been tried twice and is being undone
    if "restore" in argv[0]:
        for block in re.findall(r".*?^COMMIT\\n", text, flags=re.MULTILINE | re.DOTALL):
            steps += 1
            if steps > last:
                return stop(1)
            done = real(self, argv, block)
            if done.status:
                return done
        return execute.Result(0, "", "")
    if "-f" in argv or argv[0].endswith("/ip"):
        steps += 1
        if steps > last:
            return stop(1 if "-f" in argv else 2)
    return real(self, argv, text)
execute.Runner.run = run
sys.modules["pyroute2"] = None  # so that routes are steps as well
sys.exit(cli.main(argv))
"""
SCENES = {
    "set": ((), MUCH),
    "change": (MUCH, (*ALL, "-c", "eth8,eth9", "-k", "eth7")),
    "clean": (MUCH, (*MUCH, "--cleanup-only")),
}
# A run for every step takes seconds; these show nothing that the others don't, but by chance.
LESS = [("legacy", "change"), ("legacy", "clean"), ("nft", "clean"), ("nftables", "change")]
RUNS = [
    pytest.param(
        backend.values[0],
        scene,
        marks=[*backend.marks, *([pytest.mark.long] if (backend.values[0], scene) in LESS else [])],
        id=f"{scene}-{backend.values[0]}",
    )
    for backend in BACKENDS
    for scene in SCENES
]


def program(pod: Pod, *argv: str) -> None:
    """An undisturbed run, in this process."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = cli.main([*argv, "--network-namespace", pod.path])
    assert status == 0, said.getvalue()


def disturbed(
    pod: Pod, kind: str, last: int, argv: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """A run that is stopped after so many steps."""
    question = json.dumps([kind, last, list(argv)])
    path = os.pathsep.join([str(REPOSITORY), *sys.path])
    return pod.run([sys.executable, "-c", CHAOS, question], env={"PYTHONPATH": path})


def prepared(pod: Pod, backend: str, before: Sequence[str]) -> None:
    """Others' rules, and perhaps ours of an earlier run."""
    put_foreign(pod, "legacy" if backend == "legacy" else "nft")
    if before:
        program(pod, *before, "--backend", backend)


@pytest.mark.parametrize(("backend", "scene"), RUNS)
def test_killed_and_run_again(backend: str, scene: str) -> None:
    before, argv = SCENES[scene]
    flags = (*argv, "--backend", backend)
    with Mesh("whole") as mesh:
        prepared(mesh["whole"], backend, before)
        program(mesh["whole"], *flags)
        wanted = saved(mesh["whole"])
    for last in itertools.count():
        with Mesh("killed") as mesh:
            pod = mesh["killed"]
            prepared(pod, backend, before)
            done = disturbed(pod, "kill", last, flags)
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            program(pod, *flags)
            assert saved(pod) == wanted, f"killed after {last} steps"
    assert last > 0


@pytest.mark.parametrize(("backend", "scene"), RUNS)
def test_failed_and_undone(backend: str, scene: str) -> None:
    before, argv = SCENES[scene]
    flags = (*argv, "--backend", backend)
    for last in itertools.count():
        with Mesh("failed") as mesh:
            pod = mesh["failed"]
            prepared(pod, backend, before)
            wanted, routes = saved(pod), pod.run(["ip", "rule"]).stdout
            done = disturbed(pod, "fail", last, flags)
            if done.returncode == 0:
                break
            assert done.returncode == 1, done.stderr
            assert "error: " in done.stderr
            assert "Traceback" not in done.stderr
            assert saved(pod) == wanted, f"failed after {last} steps"
            assert pod.run(["ip", "rule"]).stdout == routes
    assert last > 0
