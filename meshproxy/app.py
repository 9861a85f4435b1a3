"""The sidecar's boot, told as a story. The only file that may import every room.

1. Fork the zygote, while this process is still small, has no thread and no loop.
2. Read the configuration; with errors end with status 2, all of them said.
3. Open every socket; a port in use ends with status 1 and a sentence.
4. Start workers, answer health checks and scrapes, watch the files.
5. Run until told to end; drain; end.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time

import uvloop

from meshproxy import __version__
from meshproxy.admin.endpoints import Endpoints
from meshproxy.admin.health import health_routes
from meshproxy.admin.scrape import Scrape
from meshproxy.admin.server import AdminServer, Routes
from meshproxy.admin.shown import Sources
from meshproxy.base.clock import SystemClock
from meshproxy.export.log_writer import SinkError
from meshproxy.listen.sockets import BindError, host_addresses, host_has_ipv6, listen_on
from meshproxy.runtime.capture import CaptureCheck, Wanted
from meshproxy.runtime.cpus import worker_count
from meshproxy.runtime.crew import Crew
from meshproxy.runtime.logs import setup_logging
from meshproxy.runtime.options import ProxyOptions, WorkerOptions
from meshproxy.runtime.page import Page, new_page
from meshproxy.runtime.privacy import keep_memory_private
from meshproxy.runtime.supervisor import Supervisor
from meshproxy.runtime.zygote import start_zygote

_log = logging.getLogger(__name__)

_NICE = 10  # of the supervisor, against its workers' 0


def run_proxy(options: ProxyOptions) -> int:
    """Run the sidecar; the exit status (0 ended as asked, 1 failed, 2 unusable configuration)."""
    setup_logging(options.log_level, options.log_format, "supervisor")
    keep_memory_private()
    page_fd = new_page()
    workers = worker_count(options.concurrency)
    zygote = start_zygote(page_fd, _worker_options(options), workers)
    # Requests go first where processors are short: reading configuration can wait a moment.
    os.nice(_NICE)
    # Only now: what reads YAML is not part of a worker.
    from meshproxy.runtime.configuration import Configuration
    from meshproxy.runtime.names import Names
    from meshproxy.runtime.secrets import Secrets
    from meshproxy.translate import Options

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    crew = Crew(loop, zygote, Page(page_fd))
    secrets = Secrets(loop, SystemClock(), options.certs, options.certs_required, crew.tell_secrets)
    bind = options.bind or (("0.0.0.0", "::") if host_has_ipv6() else ("0.0.0.0",))
    configuration = Configuration(
        options.config,
        Options(
            workload=options.workload,
            host_addresses=host_addresses(),
            trust_domain=options.trust_domain,
            outbound_port=options.outbound_port,
            inbound_port=options.inbound_port,
            bind=bind,
            access_log=options.access_log,
            transparent=options.interception_mode == "TPROXY",
            keep_source=options.interception_mode == "TPROXY" and options.original_source,
            identity=secrets.identity_wanted,
        ),
    )
    first, translation, problems = configuration.load()
    if translation is None or translation.snapshot is None:
        for problem in problems:
            if problem.severity.value != "note":
                print(problem, file=sys.stderr)
        return 2
    _log.info("meshproxy %s, configuration from %s", __version__, options.config)
    supervisor = Supervisor(loop, crew, options.drain_duration)
    names = Names(loop, crew.tell_names)
    supervisor.follow_names = names.follow
    supervisor.follow_secrets = secrets.follow
    supervisor.identity_reason = secrets.unready_reason
    started = time.monotonic()  # noqa: TID251 (the boot has no clock to be handed)
    try:
        own = _own_sockets(options, bind)
        secrets.start()
        supervisor.apply(translation.snapshot, translation.secrets)
    except (BindError, SinkError) as error:
        print(f"meshproxy: {error}", file=sys.stderr)
        return 1
    _tell_own_ports(options)
    configuration.accept(translation, problems, loop.time())
    # What has been read stays: looking at all of it again would hold up health checks (40 ms with a
    # thousand services).
    gc.collect()
    gc.freeze()
    configuration.watch(loop, first, supervisor.apply)
    secrets.on_identity = configuration.have_identity
    secrets.watch()
    supervisor.take_signals()
    loop.add_signal_handler(signal.SIGHUP, configuration.reload)
    crew.start(workers)

    def facts() -> dict[str, float]:
        return {
            **{
                f"meshproxy_config_reloads_total:{result}": count
                for result, count in configuration.results.items()
            },
            "meshproxy_config_generation": supervisor.generation,
            "meshproxy_config_age_seconds": loop.time() - configuration.accepted_at,
            "meshproxy_workers": crew.serving,
            **{
                f"meshproxy_worker_restarts_total:{reason}": count
                for reason, count in crew.restarts.items()
            },
            **{
                f"meshproxy_dns_lookups_total:{result}": count
                for result, count in names.counts.items()
            },
            "meshproxy_ready": not supervisor.unready_reason(),
            **secrets.facts(),
        }

    capture = CaptureCheck(_must_be_captured(options))
    supervisor.uncaptured_reason = lambda: capture.reason
    scrape = Scrape(crew.counts, facts)
    endpoints = Endpoints(
        supervisor,
        scrape,
        lambda: time.monotonic() - started,  # noqa: TID251
        Sources(
            configuration.status,
            lambda: loop.time() - configuration.accepted_at,
            secrets.shown,
        ),
        options.admin_port,
    )
    prometheus = Routes()
    prometheus.add("/stats/prometheus", scrape)
    servers = {
        "admin": AdminServer(loop, endpoints.routes()),
        "status": AdminServer(loop, health_routes(supervisor.unready_reason)),
        "prometheus": AdminServer(loop, prometheus),
    }

    async def live() -> bool:
        for name, server in servers.items():
            await server.start(own[name])
        asking = loop.create_task(capture.run(), name="capture check")
        as_asked = await supervisor.run()
        asking.cancel()
        await names.close()
        secrets.stop()
        for server in servers.values():
            server.close()
        return as_asked

    return 0 if loop.run_until_complete(live()) else 1


def _worker_options(options: ProxyOptions) -> WorkerOptions:
    environment = {**os.environ, "HOSTNAME": socket.gethostname()}
    return WorkerOptions(
        http1_codec=options.http1_codec,
        http2_codec=options.http2_codec,
        log_level=options.log_level,
        log_format=options.log_format,
        drain_duration=options.drain_duration,
        environment=tuple(environment.items()),
    )


def _must_be_captured(options: ProxyOptions) -> Wanted:
    families: tuple[str, ...] = ()
    if options.require_redirect:
        # Rules are made for IPv6 wherever the host has an address of it.
        families = ("v4", "v6") if any(":" in ip for ip in host_addresses()) else ("v4",)
    return Wanted(families, options.dns_capture)


def _own_sockets(options: ProxyOptions, bind: tuple[str, ...]) -> dict[str, list[socket.socket]]:
    """Sockets of the admin API, health checks and scrapes; a port of 0 is none."""
    wanted = {
        "admin": (("127.0.0.1",), options.admin_port),
        "status": (bind, options.status_port),
        "prometheus": (bind, options.prometheus_port),
    }
    return {
        name: [listen_on(ip, port) for ip in ips] if port else []
        for name, (ips, port) in wanted.items()
    }


def _tell_own_ports(options: ProxyOptions) -> None:
    named = {
        "admin API": options.admin_port,
        "health checks": options.status_port,
        "metrics": options.prometheus_port,
    }
    served = [f"{what} on port {port}" for what, port in named.items() if port]
    _log.info("%s", ", ".join(served) or "no ports of its own")
