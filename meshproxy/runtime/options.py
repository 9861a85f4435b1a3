"""What the command line decides, as plain values that processes can hand on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker has to know beyond the configuration."""

    http1_codec: str = "fast"
    http2_codec: str = "fast"
    log_level: str = "info"
    log_format: str = "text"
    drain_duration: float = 25.0  # seconds
    environment: tuple[tuple[str, str], ...] = ()  # for %ENVIRONMENT% and %HOSTNAME%


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """The command line of ``meshproxy proxy``; see there for what each means."""

    config: str = "/etc/meshproxy"
    workload: tuple[str, str] | None = None
    certs: str = "/etc/certs"
    certs_required: bool = False  # the place was named, so a certificate must be in it
    trust_domain: str = "cluster.local"
    concurrency: int | None = None
    http1_codec: str = "fast"
    http2_codec: str = "fast"
    bind: tuple[str, ...] = ()
    outbound_port: int = 15001
    inbound_port: int = 15006
    admin_port: int = 15000
    status_port: int = 15021
    prometheus_port: int = 15090
    drain_duration: float = 25.0
    log_level: str = "info"
    log_format: str = "text"
    access_log: str = ""
    interception_mode: str = "REDIRECT"
    original_source: bool = False
    require_redirect: bool = False
    dns_capture: bool = False
