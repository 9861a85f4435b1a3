"""A file, or a directory of files, read as one consistent whole.

What Kubernetes does with a mounted ConfigMap sets the rules: the files are symlinks through
``..data``, which is swapped in one step, and everything hidden is machinery. Directories are read
recursively, because several ConfigMaps are mounted as several sub-directories. A reading is only
good if nothing was different after it from what it was before: else it is done again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from meshproxy.translate import Problem, Severity, SourceText

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILE_BYTES = 64 * 1024 * 1024  # an etcd object is 1.5 MiB; this is a whole cluster's dump
MAX_FILES = 20_000
_DEEPEST = 16  # directories below the first
_PIECE = 128 * 1024  # bytes that are read in one go
_TRIES = 20  # readings before giving up on a directory that never rests


class Seen(NamedTuple):
    """A file as a look at it from outside tells it from other states of itself."""

    path: str
    device: int
    inode: int
    modified: int
    size: int


Fingerprint = tuple[Seen, ...]


class Reading(NamedTuple):
    """All texts, in the order of their paths; with problems, some of them are missing.

    ``fingerprint`` is what the files looked like: a watcher goes on from there.
    """

    texts: tuple[SourceText, ...]
    problems: tuple[Problem, ...]
    fingerprint: Fingerprint


def look(path: str) -> Fingerprint:
    """The files there are now, without opening one. A missing place has none."""
    return tuple(_files(path))


def read(path: str, breathe: Callable[[], object] = lambda: None) -> Reading:
    """Read everything, again and again until nothing changed meanwhile.

    ``breathe`` is called between pieces of it: others may want the processor.
    """
    before = look(path)
    for _ in range(_TRIES):
        texts, problems = _read_all(path, before, breathe)
        after = look(path)
        if after == before:
            return Reading(texts, problems, after)
        before = after
    problem = _error(path, "the files keep changing while they are read", "write them in one step")
    return Reading((), (problem,), before)


def _files(path: str) -> Iterator[Seen]:
    try:
        found = os.stat(path)
    except OSError:
        return
    if stat.S_ISREG(found.st_mode):
        yield _seen(path, found)
    elif stat.S_ISDIR(found.st_mode):
        yield from _sorted_tree(path, found)


def _sorted_tree(path: str, top: os.stat_result) -> list[Seen]:
    found: list[Seen] = []
    _walk(path, 0, {(top.st_dev, top.st_ino)}, found)
    return sorted(found)


def _walk(path: str, depth: int, above: set[tuple[int, int]], found: list[Seen]) -> None:
    """Visible regular files with a known ending; a symlink counts as what it points to."""
    try:
        names = os.listdir(path)
    except OSError:
        return  # it was removed, or is closed to us: reading the files says so
    for name in names:
        if name.startswith(".") or len(found) >= MAX_FILES:
            continue
        place = f"{path.rstrip('/')}/{name}"
        try:
            info = os.stat(place)
        except OSError:
            continue  # a symlink to nowhere, as there is between the steps of a swap
        if stat.S_ISDIR(info.st_mode):
            key = (info.st_dev, info.st_ino)
            if depth < _DEEPEST and key not in above:
                _walk(place, depth + 1, above | {key}, found)
        elif stat.S_ISREG(info.st_mode) and name.endswith(SUFFIXES):
            found.append(_seen(place, info))


def _seen(path: str, info: os.stat_result) -> Seen:
    return Seen(path, info.st_dev, info.st_ino, info.st_mtime_ns, info.st_size)


def _read_all(
    path: str, files: Fingerprint, breathe: Callable[[], object]
) -> tuple[tuple[SourceText, ...], tuple[Problem, ...]]:
    texts: list[SourceText] = []
    problems: list[Problem] = []
    if not files:
        problems += _nothing(path)
    if len(files) >= MAX_FILES:
        problems.append(_error(path, f"more than {MAX_FILES} files", "point at fewer"))
    for file in files:
        try:
            texts.append(SourceText(file.path, _read_one(file, breathe)))
        except OSError as error:
            problems.append(_error(file.path, f"can't be read: {error.strerror}"))
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            problems.append(_error(file.path, "is not UTF-8", "save it as UTF-8", line))
        except _TooLarge:
            problems.append(_error(file.path, f"is larger than {MAX_FILE_BYTES} bytes"))
    return tuple(texts), tuple(problems)


class _TooLarge(Exception):
    pass


def _read_one(file: Seen, breathe: Callable[[], object]) -> str:
    if file.size > MAX_FILE_BYTES:
        raise _TooLarge
    # Not to wait for ever, should a FIFO have taken the file's place since we looked.
    descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    data = bytearray()
    with open(descriptor, "rb", buffering=0) as opened:
        while len(data) < MAX_FILE_BYTES and (piece := opened.read(_PIECE)):
            data += piece
            breathe()
    return data.decode()


def _nothing(path: str) -> list[Problem]:
    try:
        os.listdir(path)
    except FileNotFoundError:
        return [_error(path, "there is no such file or directory", "name one with --config")]
    except OSError as error:
        return [_error(path, f"can't be read: {error.strerror}")]
    endings = ", ".join(SUFFIXES)
    return [Problem(Severity.WARNING, path, 0, "", f"holds no files that end in {endings}")]


def _error(file: str, text: str, mend: str = "", line: int = 0) -> Problem:
    return Problem(Severity.ERROR, file, line, "", text, mend)
