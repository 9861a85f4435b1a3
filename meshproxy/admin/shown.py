"""The admin paths that show what runs: dump, listeners, clusters, statistics (Envoy's shapes).

Large answers are made in a thread: a snapshot does not change, and health checks must not wait.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from meshproxy import __version__
from meshproxy.admin.server import Answer, Handler, Request, Routes
from meshproxy.model.snapshot import Snapshot
from meshproxy.runtime.expiry import days_until_first
from meshproxy.runtime.supervisor import Supervisor
from meshproxy.show.dump import Facts, configs, node_json, own_part
from meshproxy.show.hosts import clusters_status, clusters_text, merge_hosts
from meshproxy.show.listeners import listeners_status, listeners_text
from meshproxy.show.secrets import Material, certs_json
from meshproxy.show.select import NotThere, select
from meshproxy.show.shape import Json
from meshproxy.show.stats import Server, as_json, as_text, statistics, wanted

JSON = "application/json"
PROGRAM = f"meshproxy/{__version__}"
_EMPTY = Snapshot()


class Sources(NamedTuple):
    """What the sources tell: the configuration's status and age in seconds, and certificates."""

    status: Callable[[], dict[str, Any]]
    age: Callable[[], float]
    secrets: Callable[[], list[Material]] = list


class Shown:
    """Handlers of these paths. ``uptime`` is in seconds; ``scrape`` answers Prometheus."""

    def __init__(
        self,
        supervisor: Supervisor,
        scrape: Handler,
        uptime: Callable[[], float],
        sources: Sources,
        admin_port: int,
    ) -> None:
        self._supervisor = supervisor
        self._scrape = scrape
        self._uptime = uptime
        self._sources = sources
        self._admin_port = admin_port

    def add_to(self, routes: Routes) -> None:
        routes.add("/config_dump", self.config_dump)
        routes.add("/certs", self.certs)
        routes.add("/listeners", self.listeners)
        routes.add("/clusters", self.clusters)
        routes.add("/stats", self.stats)
        routes.add("/server_info", self.server_info)

    @property
    def _snapshot(self) -> Snapshot:
        return self._supervisor.snapshot or _EMPTY

    def state(self) -> str:
        if self._supervisor.draining:
            return "DRAINING"
        return "PRE_INITIALIZING" if self._supervisor.unready_reason() else "LIVE"

    async def config_dump(self, request: Request) -> Answer:
        """Envoy's sections, and beside them what was refused; parts of the former on demand."""
        query, snapshot, supervisor = request.query, self._snapshot, self._supervisor
        updated = datetime.now(UTC) - timedelta(seconds=self._sources.age())
        facts = Facts(
            PROGRAM,
            str(supervisor.generation),
            updated.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            self._admin_port,
        )
        endpoints = "include_eds" in query
        secrets = self._sources.secrets()
        ours: Json = {
            "generation": supervisor.generation,
            "source": self._sources.status(),
            "rejected_by_worker": supervisor.crew.rejection or None,
        }

        def made() -> str:
            found = select(configs(snapshot, facts, endpoints, secrets), query)
            if "resource" in query or "mask" in query:
                return text({"configs": found})
            return text({"configs": found, **ours, "meshproxy": own_part(snapshot)})

        try:
            return Answer(await _apart(made), content_type=JSON)
        except NotThere as error:
            return Answer(f"{error}\n", error.status)

    async def certs(self, request: Request) -> Answer:
        now = datetime.now(UTC).timestamp()
        return Answer(text(certs_json(self._sources.secrets(), now)), content_type=JSON)

    async def listeners(self, request: Request) -> Answer:
        if _is_json(request):
            return Answer(text(listeners_status(self._snapshot)), content_type=JSON)
        return Answer(listeners_text(self._snapshot))

    async def clusters(self, request: Request) -> Answer:
        told = await self._supervisor.crew.hosts()
        snapshot = self._supervisor.crew.resolved(self._snapshot)
        if _is_json(request):
            body = await _apart(lambda: text(clusters_status(snapshot, merge_hosts(told))))
            return Answer(body, content_type=JSON)
        return Answer(await _apart(lambda: clusters_text(snapshot, merge_hosts(told))))

    async def stats(self, request: Request) -> Answer:
        """``?filter=REGEX``, ``?usedonly``, ``?format=text|json|prometheus``."""
        query = request.query
        if query.get("format") == "prometheus":
            return await self._scrape(request)
        try:
            is_wanted = wanted(query.get("filter", ""))
        except ValueError as error:
            return Answer(f"filter: {error}\n", 400)
        crew = self._supervisor.crew
        hosts = merge_hosts(await crew.hosts())
        plain = (await crew.counts())["plain"]
        found = {
            name: value
            for name, value in statistics(self._server(), self._snapshot, hosts, plain).items()
            if is_wanted(name) and (value or "usedonly" not in query)
        }
        if _is_json(request):
            return Answer(as_json(found), content_type=JSON)
        return Answer(as_text(found))

    def _server(self) -> Server:
        crew, status = self._supervisor.crew, self._sources.status()
        return Server(
            self.state(),
            int(self._uptime()),
            len(crew.pids),
            crew.serving,
            status["reloads"]["accepted"],
            status["reloads"]["rejected"],
            self._supervisor.generation,
            self._days_until_expiry(),
        )

    def _days_until_expiry(self) -> int | None:
        now = datetime.now(UTC).timestamp()
        held = [each for one in self._sources.secrets() for each in (*one.chain, *one.roots)]
        return days_until_first(held, now)

    async def server_info(self, request: Request) -> Answer:
        uptime = f"{self._uptime():.0f}s"
        body = {
            "version": PROGRAM,
            "state": self.state(),
            "hot_restart_version": "disabled",
            "command_line_options": {"concurrency": len(self._supervisor.crew.pids)},
            "node": node_json(self._snapshot, PROGRAM),
            "uptime_current_epoch": uptime,
            "uptime_all_epochs": uptime,
            "workers": self._supervisor.crew.pids,
        }
        return Answer(text(body), content_type=JSON)


def text(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"


def _is_json(request: Request) -> bool:
    return request.query.get("format") == "json"


async def _apart(work: Callable[[], str]) -> str:
    return await asyncio.get_running_loop().run_in_executor(None, work)
