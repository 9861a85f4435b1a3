"""No memory of ours on disk: keys are in it."""

from __future__ import annotations

import ctypes
import resource

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def keep_memory_private() -> None:
    """No core dumps, of this process and of those that it forks, by file or by pipe.

    The limit alone does not keep the kernel from feeding a dump to a program (core(5), "Piping core
    dumps to a program"); a process that is not dumpable is never dumped, and can't be traced or
    have its memory read by others of its user.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
