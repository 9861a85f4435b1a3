"""Working in another network namespace."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from iptables.errors import Failed

CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
OWN: Final = "/proc/thread-self/ns/net"


@contextmanager
def entered(path: str) -> Iterator[None]:
    """Be in the namespace at `path` for a while, and with this thread whatever it starts.

    An empty path is the namespace that we are in. Raises `Failed` where that can't be.
    """
    if not path:
        yield
        return
    before = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(path)
        try:
            yield
        finally:
            _set(before)
    finally:
        os.close(before)


def _enter(path: str) -> None:
    try:
        wanted = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as err:
        raise Failed(f"The network namespace {path} can't be opened: {err.strerror}.") from None
    try:
        _set(wanted)
    except OSError as err:
        raise Failed(
            f"The network namespace {path} can't be entered ({err.strerror}); that needs the "
            "capability SYS_ADMIN, and a file that is a network namespace."
        ) from None
    finally:
        os.close(wanted)


def _set(descriptor: int) -> None:
    # os.setns is in Python from 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
