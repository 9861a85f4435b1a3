"""Who goes first where processors are short: the workers, always.

A worker sleeps most of the time and is wanted at once when a request comes. Linux lets who wakes up
interrupt who runs only once the latter has had its slice (1 to 4 ms), nice or not, unless it asks
for shorter slices than the other (sched_setattr(2), since Linux 6.12). So the supervisor asks for
long ones: its share of the processor stays the same, and it is interrupted at any time. Older
kernels ignore what they don't know; there, it is only nice.
"""

from __future__ import annotations

import ctypes
import logging
import os
import struct

_log = logging.getLogger(__name__)

_NICE = 10  # against the workers' 0
_SLICE = 20_000_000  # nanoseconds; the kernel's own choice is at most 4 ms
_OTHER = 0  # SCHED_OTHER
# sched_setattr(2) has no wrapper in older C libraries: its number, by machine.
_NUMBERS = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
# struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period.
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def give_way() -> None:
    """Let others have the processor first. For the calling thread and those that it starts."""
    os.nice(_NICE)
    number = _NUMBERS.get(os.uname().machine)
    if number is None:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, _OTHER, 0, nice, 0, _SLICE, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(number), 0, wanted, 0):
        # Without it requests may wait for some milliseconds more while a configuration changes.
        _log.debug("no long slices: %s", os.strerror(ctypes.get_errno()))
