"""MeshConfig's ``defaultConfig`` (Istio's ProxyConfig): how a sidecar's process is set up.

Most of it starts Envoy or reaches istiod. What a flag of this program says instead is named where
the value is another than Istio's own, so that nobody waits for it to take effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshproxy.translate.fields import Fields
from meshproxy.translate.problems import UNSUPPORTED

# Field, values that say nothing new, and what says it here.
_FLAGS: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    ("concurrency", (0,), "--concurrency"),
    ("terminationDrainDuration", ("0s", "5s"), "--drain-duration"),
    ("drainDuration", ("0s", "45s"), "--drain-duration"),
    ("proxyAdminPort", (0, 15000), "--admin-port"),
    ("statusPort", (0, 15020, 15021), "--status-port"),
    ("interceptionMode", ("REDIRECT",), "--interception-mode"),
)
_LATER = (
    "envoyAccessLogService",
    "envoyMetricsService",
    "extraStatTags",
    "gatewayTopology",
    "privateKeyProvider",
    "proxyHeaders",
    "proxyStatsMatcher",
    "readinessProbe",
    "sds",
    "statsCompression",
    "tracing",
    "zipkinAddress",
)
# Start and place of Envoy, its agent and istiod.
_NOT_OURS = (
    "availabilityZone",
    "binaryPath",
    "caCertificatesPem",
    "configPath",
    "controlPlaneAuthPolicy",
    "customConfigFile",
    "discoveryAddress",
    "discoveryRefreshDelay",
    "fileFlushMinSizeKb",
    "holdApplicationUntilProxyStarts",
    "image",
    "meshId",
    "parentShutdownDuration",
    "proxyBootstrapTemplatePath",
    "runtimeValues",
    "serviceCluster",
    "statNameLength",
    "statsdUdpAddress",
)


def read_proxy_config(fields: Fields) -> Mapping[str, Any]:
    """Values of `Settings`' fields that it sets."""
    found: dict[str, Any] = {}
    flush = fields.duration("fileFlushInterval", None, 0.001)
    if flush is not None:
        found["access_log_flush"] = flush
    for name, usual, flag in _FLAGS:
        value = fields.raw(name)
        if value is not None and value not in usual:
            text = f"{value} has no effect here: the sidecar is told at its start"
            fields.warn(name, text, f"use {flag}", UNSUPPORTED)
    _check_metadata(fields)
    fields.later(*_LATER)
    fields.skip(*_NOT_OURS)
    fields.close()
    return found


def _check_metadata(fields: Fields) -> None:
    """Environment of the agent; what this program reads too has to be set in its own."""
    for name, value, path in fields.entries("proxyMetadata"):
        if name == "ISTIO_META_DNS_CAPTURE" and str(value).lower() in ("true", "1"):
            text = "has no effect here: the sidecar is told at its start"
            fields.report.warn(path, text, "use --dns-capture", UNSUPPORTED)
