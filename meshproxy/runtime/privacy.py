"""No memory of ours on disk: keys are in it."""

from __future__ import annotations

import resource


def keep_memory_private() -> None:
    """No core dumps, of this process and of those that it forks.

    The limit alone does not keep the kernel from feeding a dump to a program that it is told to
    (core(5), "Piping core dumps to a program"): so a dump has no memory in it either. The process
    stays dumpable by name (prctl(2), PR_SET_DUMPABLE), or its own user could not look at its
    memory's size and its descriptors under /proc.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/coredump_filter", "w", encoding="ascii") as mappings:
            mappings.write("0")
    except OSError:
        pass  # a kernel that makes no dumps has no such file
