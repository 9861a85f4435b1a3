"""That the supervisor stands back for its workers, and that it does not reach them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from meshproxy.runtime import priority

_GET = {"x86_64": 315, "aarch64": 275}.get(platform.machine())
_ASK = """
import ctypes, os, threading
from meshproxy.runtime import priority

def attributes():
    buffer = ctypes.create_string_buffer(priority._ATTRIBUTES.size)
    libc = ctypes.CDLL(None, use_errno=True)
    assert not libc.syscall(ctypes.c_long({get}), 0, buffer, len(buffer), 0)
    return priority._ATTRIBUTES.unpack(buffer.raw)

def tell():
    _, policy, _, nice, _, slice, *_ = attributes()
    print(policy, nice, slice)

tell()
priority.give_way()
tell()
thread = threading.Thread(target=tell)
thread.start()
thread.join()
"""


def _run(text: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.split()


@pytest.mark.skipif(_GET is None, reason="the number of sched_getattr(2) is not known here")
def test_it_is_nice_and_takes_long_slices_in_every_thread() -> None:
    before, after, thread = zip(*[iter(_run(_ASK.format(get=_GET)))] * 3, strict=True)
    assert (before[0], after[0]) == ("0", "0")
    nice = min(19, int(before[1]) + 10)
    assert int(after[1]) == nice
    assert thread == after
    release = tuple(int(part) for part in platform.release().split(".")[:2])
    if release >= (6, 12):
        assert int(after[2]) == priority._SLICE > 2 * int(before[2])


def test_where_the_call_is_not_known_it_is_still_nice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(priority, "_NUMBERS", {})
    monkeypatch.setattr(os, "nice", asked.append)
    monkeypatch.setattr(priority.ctypes, "CDLL", None)
    priority.give_way()
    assert asked == [10]


def test_where_it_is_forbidden_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a seccomp filter: a number that no kernel knows is refused like that."""
    monkeypatch.setattr(priority, "_NUMBERS", {os.uname().machine: 100_000})
    monkeypatch.setattr(os, "nice", lambda by: None)
    priority.give_way()
