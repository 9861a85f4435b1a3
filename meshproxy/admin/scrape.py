"""A scrape: the workers' counts as text, and the sidecar's own few and slow metrics.

The latter are `prometheus_client`'s business: process, platform, build, configuration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from meshproxy import __version__
from meshproxy.admin.server import Answer, Request
from meshproxy.telemetry.render import CONTENT_TYPE, render

Facts = Callable[[], dict[str, float]]
"""Gauges of the supervisor by name: counters end in ``_total``; labels stand in braces."""


class Scrape:
    """``counts`` fetches the merged counts; ``facts`` the sidecar's own numbers."""

    def __init__(self, counts: Callable[[], Awaitable[dict[str, Any]]], facts: Facts) -> None:
        self._counts = counts
        self._facts = facts
        self._registry: Any = None

    async def __call__(self, request: Request) -> Answer:
        traffic = render(await self._counts())
        return Answer(self._own() + traffic, content_type=CONTENT_TYPE)

    def _own(self) -> str:
        # Imported at the first scrape: it is the largest single import of the supervisor.
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
        from prometheus_client.exposition import generate_latest

        if self._registry is None:
            self._registry = CollectorRegistry()
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)
            self._registry.register(_Own(self._facts))
        return generate_latest(self._registry).decode()


class _Own:
    """The supervisor's numbers as a collector."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        build = GaugeMetricFamily(
            "istio_build", "Istio component build info", labels=["component", "tag"]
        )
        build.add_metric(["proxy", __version__], 1)
        yield build
        facts = self._facts()
        for name, (kind, text, label) in OWN.items():
            family = (
                CounterMetricFamily(
                    name.removesuffix("_total"), text, labels=[label] if label else None
                )
                if kind == "counter"
                else GaugeMetricFamily(name, text, labels=[label] if label else None)
            )
            for key, value in facts.items():
                found, _, labelled = key.partition(":")
                if found == name:
                    family.add_metric([labelled] if label else [], value)
            yield family


OWN: dict[str, tuple[str, str, str]] = {
    "meshproxy_config_reloads_total": (
        "counter",
        "Configurations read, by what became of them.",
        "result",
    ),
    "meshproxy_config_generation": ("gauge", "Number of the running configuration.", ""),
    "meshproxy_config_age_seconds": ("gauge", "Seconds since the running configuration came.", ""),
    "meshproxy_workers": ("gauge", "Worker processes that carry traffic.", ""),
    "meshproxy_worker_restarts_total": ("counter", "Workers that were replaced.", "reason"),
    "meshproxy_dns_lookups_total": (
        "counter",
        "Names that were looked up, by what became of it.",
        "result",
    ),
    "meshproxy_certificate_updates_total": (
        "counter",
        "Certificates and keys that were read, by what became of them.",
        "result",
    ),
    "meshproxy_certificate_life_left_ratio": (
        "gauge",
        "The part of a certificate's life that is left, from 1 to 0.",
        "resource_name",
    ),
    "meshproxy_crl_expiry_seconds": (
        "gauge",
        "Seconds until the first revocation list beside these roots expires; negative once it has.",
        "resource_name",
    ),
    "istio_agent_cert_expiry_seconds": (
        "gauge",
        "Seconds until a certificate chain expires; negative once it has.",
        "resource_name",
    ),
    "envoy_server_days_until_first_cert_expiring": (
        "gauge",
        "Whole days until the first of all certificates expires.",
        "",
    ),
    "meshproxy_ready": ("gauge", "1 when the sidecar is ready.", ""),
}
"""The sidecar's own metrics: kind, help, label name."""
