"""Free ports on 127.0.0.1."""

from __future__ import annotations

import random
import socket

# Below the range that outgoing connections get their ports from (Linux: 32768 and up): what is
# free when it is chosen is then still free when a proxy comes to listen on it.
_RANGE = range(10_000, 30_000)


class Ports:
    """Gives each port once."""

    def __init__(self) -> None:
        self._left = random.sample(_RANGE, len(_RANGE))

    def take(self) -> int:
        while self._left:
            port = self._left.pop()
            if is_free(port):
                return port
        raise OSError("no free port between 10000 and 30000")


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        # As servers do: a port whose last connections are still in TIME_WAIT may be used.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
