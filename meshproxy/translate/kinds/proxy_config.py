"""Istio's ProxyConfig, in MeshConfig's ``defaultConfig`` and in a pod's annotation: how a sidecar's
process is set up.

Most of it starts Envoy or reaches istiod. What a flag of this program says instead is named where
the value is another than Istio's own, so that nobody waits for it to take effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any, NamedTuple

from meshproxy.model.client_cert import USUAL, ClientCert, ForwardMode
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

_DETAILS = [field.name for field in fields_of(USUAL)]
_HEADERS_LATER = (
    "attemptCount",
    "envoyDebugHeaders",
    "metadataExchangeHeaders",
    "preserveHttp1HeaderCase",
    "requestId",
    "server",
    "xForwardedHost",
    "xForwardedPort",
)


class ProxyConfig(NamedTuple):
    """``settings`` are values of `Settings`' fields that it sets; ``mode`` and ``details`` what it
    says of `ClientCert`."""

    settings: Mapping[str, Any]
    mode: ForwardMode | None = None
    details: Mapping[str, bool] = {}

    def client_cert(self, wider: ClientCert) -> ClientCert:
        """What the app is told of callers, ``wider`` where this says nothing."""
        return ClientCert(self.mode or wider.mode, replace(wider.details, **self.details))


def read_proxy_config(fields: Fields) -> ProxyConfig:
    settings: dict[str, Any] = {}
    flush = fields.duration("fileFlushInterval", None, 0.001)
    if flush is not None:
        settings["access_log_flush"] = flush
    for name, usual, flag in _FLAGS:
        value = fields.raw(name)
        if value is not None and value not in usual:
            text = f"{value} has no effect here: the sidecar is told at its start"
            fields.warn(name, text, f"use {flag}", UNSUPPORTED)
    _check_metadata(fields)
    found = ProxyConfig(settings)
    if fields.has("proxyHeaders"):
        found = found._replace(**_read_headers(fields.mapping("proxyHeaders")))
    fields.later(*_LATER)
    fields.skip(*_NOT_OURS)
    fields.close()
    return found


def _read_headers(fields: Fields) -> dict[str, Any]:
    modes = [mode.value for mode in ForwardMode]
    said = fields.choice("forwardedClientCert", ("UNDEFINED", *modes), "UNDEFINED")
    mode = None if said == "UNDEFINED" else ForwardMode(said)
    inner = fields.mapping("setCurrentClientCertDetails")
    details = {name: inner.flag(name) for name in _DETAILS if inner.has(name)}
    inner.close()
    fields.later(*_HEADERS_LATER)
    fields.close()
    return {"mode": mode, "details": details}


def _check_metadata(fields: Fields) -> None:
    """Environment of the agent; what this program reads too has to be set in its own."""
    for name, value, path in fields.entries("proxyMetadata"):
        if name == "ISTIO_META_DNS_CAPTURE" and str(value).lower() in ("true", "1"):
            text = "has no effect here: the sidecar is told at its start"
            fields.report.warn(path, text, "use --dns-capture", UNSUPPORTED)
