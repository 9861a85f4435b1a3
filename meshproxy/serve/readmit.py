"""After a new plan: connections that it does not admit any more finish what they do, and end."""

from __future__ import annotations

import logging
from functools import partial

from meshproxy.serve.serving import GRACE, Connection, Serving

_log = logging.getLogger(__name__)

_SLICE = 100  # connections that are looked at in one turn of the loop


def readmit(serving: Serving, seconds: float) -> None:
    """Look at every connection once more, some in each turn.

    Those that may not stay are drained, and cut off after ``seconds``.
    """
    _look(serving, list(serving.connections), seconds)


def _look(serving: Serving, waiting: list[Connection], seconds: float) -> None:
    for connection in waiting[:_SLICE]:
        if connection in serving.connections and not connection.still_admitted():
            serving.count("meshproxy_connections_expelled_total", connection.listener)
            _log.info("a connection of %s is not admitted any more", connection.listener)
            connection.drain()
            serving.timers.after(GRACE * 1.5, connection.drain)
            serving.timers.after(seconds, connection.abort)
    rest = waiting[_SLICE:]
    if rest:
        serving.loop.call_soon(partial(_look, serving, rest, seconds))
