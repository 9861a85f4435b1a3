"""The admin API's paths, with Envoy's names and shapes where Envoy has them."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from pathlib import Path

from meshproxy import __version__
from meshproxy.admin.server import Answer, Handler, Request, Routes
from meshproxy.admin.shown import JSON, Shown, Sources, text
from meshproxy.runtime.channel import Kind
from meshproxy.runtime.logs import LEVELS, LOGGERS, levels, set_level
from meshproxy.runtime.supervisor import Supervisor

_HTML = "text/html; charset=utf-8"
_SPELLINGS = {"trace": "debug", "warn": "warning", "off": "critical"}  # Envoy's levels
_HELP = {
    "/": "admin home page",
    "/certs": "print certificates and how long they are valid",
    "/clusters": "upstream cluster status (?format=json)",
    "/config_dump": "what runs, and from where (?include_eds, ?resource=, ?mask=, ?name_regex=)",
    "/drain_listeners": "drain inbound listeners",
    "/healthcheck/fail": "cause the server to fail health checks",
    "/healthcheck/ok": "cause the server to pass health checks",
    "/help": "print out list of admin commands",
    "/listeners": "print listener info (?format=json)",
    "/logging": "query/change logging levels (?level=, ?NAME=, ?paths=NAME:LEVEL,...)",
    "/memory": "print current allocation/heap usage",
    "/quitquitquit": "exit the server",
    "/ready": "print server state, return 200 if LIVE, otherwise return 503",
    "/server_info": "print server version/status information",
    "/stats": "print server stats (?filter=REGEX, ?usedonly, ?format=json|prometheus)",
    "/stats/prometheus": "print server stats in prometheus format",
}


class Endpoints:
    """Answers of the admin port."""

    def __init__(
        self,
        supervisor: Supervisor,
        scrape: Handler,
        uptime: Callable[[], float],
        sources: Sources,
        admin_port: int = 15000,
    ) -> None:
        self._supervisor = supervisor
        self._scrape = scrape
        self._shown = Shown(supervisor, scrape, uptime, sources, admin_port)

    def routes(self) -> Routes:
        routes = Routes()
        self._shown.add_to(routes)
        for path, handler in (
            ("/ready", self.ready),
            ("/memory", self.memory),
            ("/help", self.help),
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
            f'<li><form method="post" action="{path}"><button>{path}</button> {says}</form></li>'
            if post
            else f'<li><a href="{path}">{path}</a> {says}</li>'
            for path, post in self._paths
            for says in [html.escape(_HELP[path])]
        )
        state = html.escape(self._supervisor.unready_reason() or "ready")
        return Answer(
            f"<!doctype html><title>meshproxy</title><h1>meshproxy {__version__}</h1>"
            f"<p>{state}</p><ul>{rows}</ul>",
            content_type=_HTML,
        )

    async def help(self, request: Request) -> Answer:
        lines = [f"  {path}: {_HELP[path]}\n" for path in ("/", *(path for path, _ in self._paths))]
        return Answer("admin commands are:\n" + "".join(lines))

    async def ready(self, request: Request) -> Answer:
        """Envoy's words for its states."""
        state = self._shown.state()
        if state == "LIVE":
            return Answer("LIVE\n")
        reason = "" if state == "DRAINING" else f"{self._supervisor.unready_reason()}\n"
        return Answer(f"{state}\n{reason}", 503)

    async def memory(self, request: Request) -> Answer:
        """Resident bytes; ``allocated`` is those of all processes together, as texts (protobuf)."""
        pids = [os.getpid(), *self._supervisor.crew.pids]
        resident = {str(pid): _resident(pid) for pid in pids}
        total = str(sum(resident.values()))
        shown = {pid: str(size) for pid, size in resident.items()}
        body = {"allocated": total, "heap_size": total, "processes": shown}
        return Answer(text(body), content_type=JSON)

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
        """``?level=debug`` for everything, ``?serve=debug`` or ``?paths=serve:debug,…`` for parts;
        without any, the levels as they are."""
        wanted: list[tuple[str, str]] = []
        for name, value in request.query.items():
            if name == "paths":
                pairs = [pair.partition(":") for pair in value.split(",")]
                wanted += [(logger, level) for logger, _, level in pairs]
            else:
                wanted.append(("" if name == "level" else name, value))
        wanted = [(name, _SPELLINGS.get(level, level)) for name, level in wanted]
        for name, level in wanted:
            if level not in LEVELS:
                return Answer(f"level is one of {', '.join(LEVELS)}\n", 400)
            if name and name not in LOGGERS:
                return Answer(f"{name} is no logger; there are {', '.join(LOGGERS)}\n", 400)
        for name, level in wanted:
            set_level(name, level)
            self._supervisor.crew.broadcast(Kind.LOG_LEVEL, (name, level))
        lines = [f"  {name}: {level}\n" for name, level in levels().items()]
        return Answer("active loggers:\n" + "".join(lines))


def _resident(pid: int) -> int:
    """Bytes of a process in memory; 0 if it has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
