"""The mesh in miniature that these tests stand on: joined, quick, and gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.namespaces import (
    APP,
    PROXY,
    REPOSITORY,
    Mesh,
    missing,
    needed,
    python,
    wait_until,
)

pytestmark = [pytest.mark.netns, needed()]

SERVER = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port={port}, bind='::')"
FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).status)"


def test_pods_reach_each_other_in_both_families() -> None:
    with Mesh("one", "two") as mesh:
        server = mesh["two"].start([python(), "-c", SERVER.format(port=8080)], uid=APP)
        server.wait_for_port(8080)
        for host in (mesh["two"].v4, f"[{mesh['two'].v6}]"):
            done = mesh["one"].run([python(), "-c", FETCH, f"http://{host}:8080/"], uid=APP)
            assert (done.stdout, done.returncode) == ("200\n", 0), done.stderr
        assert "GET / HTTP/1.1" in server.output()


@pytest.mark.parametrize("uid", [APP, PROXY])
def test_programs_run_as_a_user_and_nothing_more(uid: int) -> None:
    code = "import os; print(os.getuid(), os.getgid(), len(os.getgroups()))"
    with Mesh("pod") as mesh:
        done = mesh["pod"].run([python(), "-c", code], uid=uid)
        assert done.stdout == f"{uid} {uid} 0\n"


def test_many_pods_in_no_time() -> None:
    """A whole topology in less than 0.3 s; measured as the processor time of what it starts."""
    before = _spent()
    with Mesh("a", "b", "c", "d"):
        assert _spent() - before < 0.3


def _spent() -> float:
    """Processor seconds of all programs that this process has waited for."""
    times = os.times()
    return times.children_user + times.children_system


def test_nothing_is_left() -> None:
    left: list[str] = []
    with pytest.raises(ZeroDivisionError) as raised:
        _fails_in_a_mesh(left)
    path, orphan = left
    assert "words" in "".join(raised.value.__notes__)
    assert not Path(path).exists()
    wait_until(lambda: not _runs(orphan), "the orphan to end")


def _fails_in_a_mesh(left: list[str]) -> None:
    """A program says something, and its child outlives it in a session of its own."""
    orphan = "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True)"
    with Mesh("pod") as mesh:
        pod = mesh["pod"]
        pod.start([python(), "-c", f"print('words'); {orphan}"]).wait()
        listing = ["ip", "netns", "pids", pod.namespace]
        alive = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
        left += [pod.path, *alive]
        raise ZeroDivisionError


def _runs(pid: str) -> bool:
    """Whether a process still does anything; nobody may have collected it yet."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return False


def test_waiting_ends_when_the_program_does() -> None:
    with Mesh("pod") as mesh:
        process = mesh["pod"].start([python(), "-c", "raise SystemExit('no port today')"])
        with pytest.raises(ChildProcessError, match="no port today"):
            process.wait_for_port(80)


def test_names_of_two_meshes_differ() -> None:
    with Mesh("pod") as one, Mesh("pod") as other:
        assert one["pod"].namespace != other["pod"].namespace


def test_what_is_missing_is_said() -> None:
    assert "no-such-tool" in missing("no-such-tool")


def test_it_needs_no_pytest() -> None:
    """A demonstration may use it where only the sidecar is installed."""
    code = "import sys; sys.modules['pytest'] = None; import tests.support.namespaces"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False)
    assert done.returncode == 0
