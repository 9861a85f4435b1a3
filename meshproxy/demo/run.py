"""One run of the demo as the machine sees it: its name, its folder, and what it leaves if killed.

Everything that a run makes carries the run's name: the namespaces, the folder, and in the folder a
list of the processes. The name is made of the process id and the time at which that process
started, so that a later run can tell for certain whether this one still lives.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from meshproxy.demo import namespaces
from meshproxy.demo.files import open_folder
from meshproxy.demo.plain_user import CONFINED

PREFIX = "meshproxy-demo-"
_PROCESSES = "processes"
_OTHERS = (Path("/tmp"), Path("/var/tmp"))  # where TMPDIR is closed to other users
# Names that only begin like ours are somebody else's.
_FOLDER = re.compile(rf"{PREFIX}(\d+-\d+)\Z")
_NAMESPACE = re.compile(rf"{PREFIX}(\d+-\d+)-")


class Run:
    """``token`` tells runs apart."""

    def __init__(self, token: str, folder: Path) -> None:
        self.token = token
        self.folder = folder

    def namespace(self, name: str) -> str:
        return f"{PREFIX}{self.token}-{name}"

    def note(self, pid: int) -> None:
        """Remember a process, for the case that this run is killed."""
        with (self.folder / _PROCESSES).open("a", encoding="ascii") as notes:
            notes.write(f"{identity(pid)}\n")

    def clear(self) -> None:
        """End what is left of its processes, and remove its namespaces and its folder."""
        for token in self._noted():
            if _alive(token):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(token.partition("-")[0]), signal.SIGKILL)
        self._clear_namespaces()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_over(self) -> None:
        """As if nothing had been made yet."""
        self.clear()
        open_folder(self.folder)

    def _clear_namespaces(self) -> None:
        for name in namespaces.named(self.namespace("")):
            namespaces.remove(name)

    def _noted(self) -> list[str]:
        try:
            return (self.folder / _PROCESSES).read_text(encoding="ascii").split()
        except OSError:
            return []


def new_run() -> Run:
    """A run of this process, with an empty folder that other users can read."""
    token = identity(os.getpid())
    return Run(token, open_folder(_temporary() / f"{PREFIX}{token}"))


def dead_runs() -> list[Run]:
    """Earlier runs of this user that were killed and could not clean up."""
    if CONFINED in os.environ:
        return []  # they ended with their namespaces, and other runs can't be seen from here
    folders = dict(_own_folders())
    tokens = set(folders)
    if os.geteuid() == 0:
        found = map(_NAMESPACE.match, namespaces.named(PREFIX))
        tokens.update(match[1] for match in found if match)
    return [
        Run(token, folders.get(token, _temporary() / f"{PREFIX}{token}"))
        for token in sorted(tokens)
        if not _alive(token)
    ]


def identity(pid: int) -> str:
    """A process's id and start time (in ticks since boot): no other process ever has both."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        # The second field is the program's name in brackets and may hold anything; 22 is the time.
        fields = file.read().rpartition(")")[2].split()
    return f"{pid}-{fields[19]}"


def _alive(token: str) -> bool:
    try:
        return identity(int(token.partition("-")[0])) == token
    except (OSError, ValueError):
        return False


def _temporary() -> Path:
    """The folder for temporary files, or another if that one is closed to other users."""
    wanted = Path(tempfile.gettempdir())
    for place in (wanted, *_OTHERS):
        if place.is_dir() and _open_to_all(place):
            return place
    return wanted


def _open_to_all(place: Path) -> bool:
    return all(each.stat().st_mode & 0o001 for each in (place, *place.resolve().parents))


def _own_folders() -> Iterator[tuple[str, Path]]:
    """Folders of runs, by token. Another user's are that user's business."""
    for place in {Path(tempfile.gettempdir()), *_OTHERS}:
        for path in place.glob(f"{PREFIX}*"):
            match = _FOLDER.match(path.name)
            with contextlib.suppress(OSError):
                own = path.lstat().st_uid == os.geteuid()
                if match and own and path.is_dir() and not path.is_symlink():
                    yield match[1], path
