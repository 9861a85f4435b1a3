"""The admin API's paths, with Envoy's names and shapes where Envoy has them."""

from __future__ import annotations

import dataclasses
import enum
import html
import json
import logging
import resource
from collections.abc import Callable, Mapping
from typing import Any

from meshproxy import __version__
from meshproxy.admin.server import Answer, Handler, Request, Routes
from meshproxy.runtime.channel import Kind
from meshproxy.runtime.logs import LEVELS
from meshproxy.runtime.supervisor import Supervisor

_JSON = "application/json"
_HTML = "text/html; charset=utf-8"


class Endpoints:
    """Answers of the admin port. ``status`` gives what the configuration's sources have to say."""

    def __init__(
        self,
        supervisor: Supervisor,
        scrape: Handler,
        uptime: Callable[[], float],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._supervisor = supervisor
        self._scrape = scrape
        self._uptime = uptime
        self._status = status

    def routes(self) -> Routes:
        routes = Routes()
        for path, handler in (
            ("/ready", self.ready),
            ("/server_info", self.server_info),
            ("/config_dump", self.config_dump),
            ("/memory", self.memory),
            ("/stats/prometheus", self._scrape),
        ):
            routes.add(path, handler)
        for path, handler in (
            ("/healthcheck/fail", self.fail),
            ("/healthcheck/ok", self.recover),
            ("/drain_listeners", self.drain),
            ("/quitquitquit", self.quit),
            ("/logging", self.logging),
        ):
            routes.add(path, handler, post=True)
        self._paths = routes.paths
        routes.add("/", self.index)
        return routes

    async def index(self, request: Request) -> Answer:
        rows = "".join(
            f'<li><form method="post" action="{path}"><button>{path}</button></form></li>'
            if post
            else f'<li><a href="{path}">{path}</a></li>'
            for path, post in self._paths
        )
        state = html.escape(self._supervisor.unready_reason() or "ready")
        return Answer(
            f"<!doctype html><title>meshproxy</title><h1>meshproxy {__version__}</h1>"
            f"<p>{state}</p><ul>{rows}</ul>",
            content_type=_HTML,
        )

    async def ready(self, request: Request) -> Answer:
        """Envoy's words for its states."""
        if self._supervisor.draining:
            return Answer("DRAINING\n", 503)
        reason = self._supervisor.unready_reason()
        return Answer("LIVE\n") if not reason else Answer(f"PRE_INITIALIZING\n{reason}\n", 503)

    async def server_info(self, request: Request) -> Answer:
        supervisor = self._supervisor
        state = "LIVE" if not supervisor.unready_reason() else "PRE_INITIALIZING"
        return _json(
            {
                "version": f"meshproxy/{__version__}",
                "state": "DRAINING" if supervisor.draining else state,
                "uptime_current_epoch": f"{self._uptime():.0f}s",
                "uptime_all_epochs": f"{self._uptime():.0f}s",
                "node": _plain(supervisor.snapshot.workload) if supervisor.snapshot else None,
                "workers": supervisor.crew.pids,
            }
        )

    async def config_dump(self, request: Request) -> Answer:
        """The snapshot that runs, with the document each part came from, and what was refused."""
        supervisor = self._supervisor
        return _json(
            {
                "generation": supervisor.generation,
                "source": self._status(),
                "rejected_by_worker": supervisor.crew.rejection or None,
                "snapshot": _plain(supervisor.snapshot),
            }
        )

    async def memory(self, request: Request) -> Answer:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return _json({"supervisor_max_rss": str(usage.ru_maxrss * 1024)})

    async def fail(self, request: Request) -> Answer:
        self._supervisor.failed_health = True
        return Answer("OK\n")

    async def recover(self, request: Request) -> Answer:
        self._supervisor.failed_health = False
        return Answer("OK\n")

    async def drain(self, request: Request) -> Answer:
        """Inbound connections finish and close; the sidecar lives on, as Envoy does."""
        self._supervisor.crew.broadcast(Kind.DRAIN)
        return Answer("OK\n")

    async def quit(self, request: Request) -> Answer:
        self._supervisor.stop()
        return Answer("OK\n")

    async def logging(self, request: Request) -> Answer:
        """``?level=debug`` for everything."""
        level = request.query.get("level", "")
        level = {"trace": "debug", "warn": "warning"}.get(level, level)
        if level not in LEVELS:
            return Answer(f"level is one of {', '.join(LEVELS)}\n", 400)
        logging.getLogger().setLevel(LEVELS[level])
        self._supervisor.crew.broadcast(Kind.LOG_LEVEL, level)
        return Answer(f"active loggers:\n  all: {level}\n")


def _json(value: object) -> Answer:
    return Answer(json.dumps(value, indent=1) + "\n", content_type=_JSON)


def _plain(value: Any) -> Any:
    """The model as JSON: dataclasses become objects, what is empty or default is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = {}
        for field in dataclasses.fields(value):
            found = getattr(value, field.name)
            if found not in ("", (), None) and found != field.default:
                shown[field.name] = _plain(found)
        return shown
    if isinstance(value, Mapping):
        return {str(key): _plain(found) for key, found in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(found) for found in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
