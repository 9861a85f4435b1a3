"""Requests that wait for the first answer of DNS: at most as long as for a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meshproxy.aio.timers import Timers
from meshproxy.base.errors import Kind, ProxyError
from meshproxy.plan.names import ClusterNames
from meshproxy.plan.plan import ClusterPlan

_LONGEST = 10.0  # seconds, where connecting itself has no limit


def wait_for_names(
    timers: Timers,
    cluster: ClusterPlan,
    names: ClusterNames,
    on_names: Callable[[], None],
    on_error: Callable[[ProxyError], None],
) -> None:
    """One of them is called once: when it is worth to look again, or when it took too long."""
    seconds = cluster.connect_timeout or _LONGEST

    def known() -> None:
        timer.cancel()
        on_names()

    def late() -> None:
        names.waiting.pop(known, None)
        text = f"no answer for {', '.join(names.names[:3])} within {seconds:g} s"
        on_error(ProxyError(Kind.DNS_FAILURE, text))

    timer = timers.after(seconds, late)
    names.waiting[known] = None


class NamesPromise:
    """The same as something to await; it raises why there is nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._kept: asyncio.Future[None]

    async def kept(self) -> None:
        self._kept = self._loop.create_future()
        await self._kept

    def on_names(self) -> None:
        if not self._kept.done():
            self._kept.set_result(None)

    def on_dial_error(self, error: ProxyError) -> None:
        if not self._kept.done():
            self._kept.set_exception(error)
