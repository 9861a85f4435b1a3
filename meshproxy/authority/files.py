"""Files that change all at once, as Kubernetes changes a mounted Secret.

What is read are links through ``..data``, which points to a directory of the moment and is swapped
in one step. Keys are open to their owner alone, from the first byte on.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

_DATA = "..data"


def write_together(folder: Path, contents: Mapping[str, bytes], private: frozenset[str]) -> None:
    """Put these files into ``folder``, in one step; ``private`` are the names of keys.

    A file that stands there already is replaced. Raises ``OSError``; then what was there stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    fresh = folder / f"..{token}"
    fresh.mkdir(0o755)
    link = folder / f"{_DATA}_{token}"
    try:
        for name, content in contents.items():
            _write(fresh / name, content, 0o600 if name in private else 0o644)
        link.symlink_to(fresh.name)
        before = _target(folder / _DATA)
        os.replace(link, folder / _DATA)
    except OSError:
        link.unlink(missing_ok=True)
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    for name in contents:
        _link(folder / name, f"{_DATA}/{name}", token)
    if before is not None and before.startswith(".."):
        shutil.rmtree(folder / before, ignore_errors=True)


def write_new(folder: Path, contents: Mapping[str, bytes], private: frozenset[str]) -> None:
    """Put files into ``folder`` of which none is there yet; ``FileExistsError`` if one is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in contents:
        if os.path.lexists(folder / name):
            raise FileExistsError(folder / name)
    for name, content in contents.items():
        _write(folder / name, content, 0o600 if name in private else 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as opened:
        os.fchmod(descriptor, mode)  # whatever the umask
        opened.write(content)


def _target(link: Path) -> str | None:
    try:
        return os.readlink(link)
    except OSError:
        return None


def _link(path: Path, target: str, token: str) -> None:
    """A link at ``path``, also where a file stands, without a moment between."""
    if _target(path) == target:
        return
    made = path.with_name(f"..{path.name}_{token}")
    made.symlink_to(target)
    os.replace(made, path)
