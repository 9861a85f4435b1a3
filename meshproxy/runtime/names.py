"""The supervisor's eye on names: those of the running snapshot are kept fresh for the workers."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping

from meshproxy.aio.timers import Timers
from meshproxy.base.addr import parse_server, split_servers
from meshproxy.cluster.names import Answer
from meshproxy.model.snapshot import Snapshot
from meshproxy.upstream.dns_client import DnsClient
from meshproxy.upstream.resolve import Resolver, Tell

_log = logging.getLogger(__name__)


class Names:
    """``tell`` hands answers to every worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Tell) -> None:
        self._tell_workers = tell
        self._client = DnsClient(loop)
        # Not for secrets: it spreads refreshes.
        draw: Callable[[], float] = random.Random().random
        self._resolver = Resolver(Timers(loop), self._client.ask, self._tell, draw)

    def follow(self, snapshot: Snapshot) -> None:
        """From now on the names of this snapshot are wanted."""
        settings = snapshot.settings
        servers = (parse_server(text) for text in split_servers(settings.dns_servers))
        self._client.servers = tuple(server for server in servers if server is not None)
        names = {name for cluster in snapshot.clusters.values() for name in cluster.names}
        self._resolver.want(sorted(names), settings.dns_refresh_rate, settings.max_dns_addresses)

    @property
    def counts(self) -> Mapping[str, int]:
        return self._resolver.counts

    async def close(self) -> None:
        await self._client.close()

    def _tell(self, told: Mapping[str, Answer | None]) -> None:
        for name, answer in told.items():
            if answer is not None and answer.fault:
                kept = f"; {len(answer.addresses)} addresses stay" if answer.addresses else ""
                _log.warning("%s can't be resolved: %s%s", name, answer.fault, kept)
            elif answer is not None:
                _log.debug("%s is at %s", name, ", ".join(answer.addresses))
        self._tell_workers(told)
