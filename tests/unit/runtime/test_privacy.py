"""A process that holds keys leaves no memory behind."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, resource
from meshproxy.runtime.privacy import keep_memory_private
keep_memory_private()
if os.fork() == 0:
    print(resource.getrlimit(resource.RLIMIT_CORE), end=" ")
    print(open("/proc/self/coredump_filter").read(), end="", flush=True)
    os._exit(0)
os.wait()
"""


def test_no_dumps_here_and_in_what_is_forked() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "(0, 0) 00000000\n"
