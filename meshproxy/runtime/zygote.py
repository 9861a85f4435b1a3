"""The process that forks workers: no loop, no threads, the data path imported, the heap frozen.

A worker forked from here is as clean as the first, and shares the imported code's memory with the
others (4 MB of its own instead of 13). It is told to fork over a socket, waits for its children,
and tells how each ended. When the supervisor goes, so does it, and so do the workers, each by the
end of its own channel.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence

from meshproxy.runtime.handover import Lane, lanes
from meshproxy.runtime.options import WorkerOptions
from meshproxy.runtime.page import Page
from meshproxy.runtime.worker import run_worker

FORK = struct.Struct("!I")  # the row of the new worker; its channel comes as a descriptor
NEWS = struct.Struct("!cii")  # STARTED: row, pid. ENDED: pid, wait status.
STARTED, ENDED = b"S", b"E"


def start_zygote(page_fd: int, options: WorkerOptions, workers: int) -> socket.socket:
    """Fork the zygote from a process that has imported the data path and runs no thread.

    ``workers``: how many will run at a time. Returns our end of its control socket.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sys.stdout.flush()
    sys.stderr.flush()
    # Frozen before the fork: a collection afterwards would write to every object, and the pages
    # they are in would stop being shared (3 MB a process).
    gc.collect()
    gc.freeze()
    if os.fork():
        theirs.close()
        return ours
    ours.close()
    status = 1
    try:
        _Zygote(theirs, Page(page_fd), options, lanes(workers)).run()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class _Zygote:
    def __init__(
        self,
        control: socket.socket,
        page: Page,
        options: WorkerOptions,
        ways: Sequence[Lane],
    ) -> None:
        self._control = control
        self._ways = ways
        self._page = page
        self._options = options
        # Signals are for the supervisor; a terminal or service manager sends them to all of us.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake_out.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake_in, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self._wake_in.fileno():
                    self._wake_in.recv(4096)
                    self._reap()
                elif not self._obey():
                    return

    def _obey(self) -> bool:
        """Fork as told; False when the supervisor has gone."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 64, 1)
        except ConnectionResetError:  # killed with news of ours unread
            return False
        if not data:
            return False
        (row,) = FORK.unpack(data)
        pid = os.fork()
        if pid == 0:
            self._become_worker(row, fds[0])
        os.close(fds[0])
        try:
            self._control.send(NEWS.pack(STARTED, row, pid))
        except OSError:  # killed meanwhile; the worker sees that by itself
            return False
        return True

    def _become_worker(self, row: int, fd: int) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for sock in (self._control, self._wake_in, self._wake_out):
                sock.close()
            run_worker(socket.socket(fileno=fd), self._page, row, self._options, self._ways)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            try:
                self._control.send(NEWS.pack(ENDED, pid, status))
            except OSError:
                return  # the supervisor has gone; `run` will see it
