"""MeshConfig's ``defaultConfig`` (Istio's ProxyConfig): how a sidecar's process is set up.

Most of it starts Envoy or reaches istiod. What a flag of this program says instead is named where
the value is another than Istio's own, so that nobody waits for it to take effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from meshproxy.model.client_cert import DEFAULT, USUAL, CertDetails, ClientCert, ForwardMode
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
    """``settings`` are values of `Settings`' fields that it sets."""

    settings: Mapping[str, Any]
    client_cert: ClientCert = DEFAULT


def read_proxy_config(fields: Fields) -> ProxyConfig:
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
    client_cert = DEFAULT
    if fields.has("proxyHeaders"):
        client_cert = _read_headers(fields.mapping("proxyHeaders"))
    fields.later(*_LATER)
    fields.skip(*_NOT_OURS)
    fields.close()
    return ProxyConfig(found, client_cert)


def _read_headers(fields: Fields) -> ClientCert:
    modes = [mode.value for mode in ForwardMode]
    mode = fields.choice("forwardedClientCert", ("UNDEFINED", *modes), "UNDEFINED")
    found = DEFAULT
    if mode != "UNDEFINED":
        found = replace(found, mode=ForwardMode(mode))
    if fields.has("setCurrentClientCertDetails"):
        inner = fields.mapping("setCurrentClientCertDetails")
        said = {
            name: inner.flag(name, getattr(USUAL, name))
            for name in ("subject", "cert", "chain", "dns", "uri")
        }
        inner.close()
        found = replace(found, details=CertDetails(**said))
    fields.later(*_HEADERS_LATER)
    fields.close()
    return found


def _check_metadata(fields: Fields) -> None:
    """Environment of the agent; what this program reads too has to be set in its own."""
    for name, value, path in fields.entries("proxyMetadata"):
        if name == "ISTIO_META_DNS_CAPTURE" and str(value).lower() in ("true", "1"):
            text = "has no effect here: the sidecar is told at its start"
            fields.report.warn(path, text, "use --dns-capture", UNSUPPORTED)
