"""Certificates and keys: a handful of files by their paths, read as they are at one moment."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meshproxy.sources.files import Fingerprint, Seen

LARGEST = 4 * 1024 * 1024  # bytes; the roots of the whole web are a quarter of one
_TRIES = 5


class PemReading(NamedTuple):
    """Contents by path, and why others can't be read, as parts of sentences."""

    contents: Mapping[str, bytes]
    faults: Mapping[str, str]

    def __repr__(self) -> str:  # keys are among the contents
        return f"PemReading({sorted(self.contents)}, {dict(self.faults)})"


def look(paths: Iterable[str]) -> Fingerprint:
    """The files there are. The time is the inode's, which also tells of a changed mode, and which
    nobody sets back: keys have the same size and are often copied with their times."""
    found: list[Seen] = []
    for path in paths:
        try:
            info = os.stat(path)
        except OSError:
            continue
        found.append(Seen(path, info.st_dev, info.st_ino, info.st_ctime_ns, info.st_size))
    return tuple(found)


def read(paths: Iterable[str]) -> PemReading:
    """Read them all, again while they change meanwhile. What is torn all the same, because another
    file follows later, is found out by whoever puts them together."""
    wanted = list(paths)
    for _ in range(_TRIES):
        before = look(wanted)
        reading = _read_all(wanted)
        if look(wanted) == before:
            break
    return reading


def _read_all(paths: list[str]) -> PemReading:
    contents: dict[str, bytes] = {}
    faults: dict[str, str] = {}
    for path in paths:
        try:
            contents[path] = _read_one(path)
        except FileNotFoundError:
            faults[path] = "is not there"
        except OSError as error:
            faults[path] = f"can't be read: {error.strerror}"
    return PemReading(contents, faults)


def _read_one(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as opened:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(0, "it is no regular file")
        if info.st_size > LARGEST:
            raise OSError(0, f"it has more than {LARGEST} bytes")
        return opened.read(LARGEST)
