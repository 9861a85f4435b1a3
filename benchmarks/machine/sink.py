"""Where a proxy's access log goes: a pipe that is read as fast as it fills, to nowhere.

That is what a container's runtime gives a sidecar for its standard output. A file would grow by
hundreds of megabytes and let the disk decide, ``/dev/null`` would cost a writer nothing.
"""

from __future__ import annotations

import os
import threading

_MOST = 1 << 20


class Sink:
    """``writer`` is the descriptor to hand to one process; `started` closes our copy of it."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self.bytes = 0
        self._thread = threading.Thread(target=self._run, name="log reader", daemon=True)
        self._thread.start()

    def started(self) -> None:
        os.close(self.writer)

    def close(self) -> None:
        """Wait until the writers have gone and everything is read."""
        self._thread.join(5.0)

    def _run(self) -> None:
        # splice throws the pages away without copying them: reading costs the load's cpu little.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            while count := os.splice(self._reader, nowhere, _MOST):
                self.bytes += count
        finally:
            os.close(nowhere)
            os.close(self._reader)
