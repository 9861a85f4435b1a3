"""MeshConfig, in the three shapes that it is handed around in.

As a document of its own (``kind: MeshConfig``), as text under ``mesh`` in the ConfigMap ``istio``,
and under ``spec.meshConfig`` of an IstioOperator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshproxy.model.client_cert import DEFAULT, ClientCert
from meshproxy.model.paths import PathNormalization
from meshproxy.model.tls import ANY, TlsParameters
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.access_log import (
    TEXT,
    LogFormat,
    read_mesh_format,
    read_provider_format,
)
from meshproxy.translate.kinds.common import LEAST_DURATION
from meshproxy.translate.kinds.http_extras import check_retries
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.proxy_config import read_proxy_config
from meshproxy.translate.kinds.tls_parameters import read_least, read_parameters
from meshproxy.translate.names import is_label
from meshproxy.translate.problems import UNSUPPORTED, Report
from meshproxy.translate.yaml_text import BrokenText, load

DEFAULT_ROOT = "istio-system"
STDOUT = "/dev/stdout"
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}\Z")  # SPIFFE ID, section 2.1
# What only a control plane, a gateway or an agent acts on.
_NOT_OURS = [
    "ca",
    "configSources",
    "discoverySelectors",
    "disableEnvoyListenerLog",
    "enablePrometheusMerge",
    "hboneIdleTimeout",
    "inboundClusterStatName",
    "ingressClass",
    "ingressControllerMode",
    "ingressSelector",
    "ingressService",
    "mixerCheckServer",
    "mixerReportServer",
    "outboundClusterStatName",
    "proxyHttpPort",
    "reportBatchMaxEntries",
    "reportBatchMaxTime",
    "sdsUdsPath",
    "thriftConfig",
    "disablePolicyChecks",
]
_LATER = [
    "tcpKeepalive",
    "localityLbSetting",
    "caCertificates",
    "certificates",
    "enableEnvoyAccessLogService",
    "enableTracing",
    "inboundTrafficPolicy",
    "serviceSettings",
    "defaultHttpRetryPolicy",
    "defaultInboundHttpRetryPolicy",
    "protocolDetectionTimeout",
]


@dataclass(frozen=True, slots=True)
class LogProvider:
    """A file that access logs go to. ``supported`` False: some other service, not written to."""

    path: str = STDOUT
    format: LogFormat | None = None
    supported: bool = True


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """None and empty: not said. ``settings`` are fields of `Settings` that it sets."""

    meta: Meta
    allow_any: bool | None = None
    access_log_file: str = ""
    log_format: LogFormat = TEXT
    connect_timeout: float | None = None
    root_namespace: str = DEFAULT_ROOT
    providers: Mapping[str, LogProvider] = field(default_factory=dict)
    log_providers: tuple[str, ...] = ()
    service_export_to: tuple[str, ...] = ()
    rule_export_to: tuple[str, ...] = ()
    destination_export_to: tuple[str, ...] = ()
    trust_domain: str = ""
    trust_domain_aliases: tuple[str, ...] = ()
    auto_mtls: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    path_normalization: PathNormalization = PathNormalization.BASE
    client_cert: ClientCert = DEFAULT
    mesh_tls: TlsParameters = ANY
    tls_defaults: TlsParameters = ANY
    h2_upgrade: bool = False


def read_mesh_document(top: Fields, meta: Meta) -> MeshConfig:
    top.skip("metadata", "status")
    return _read(top.mapping("spec") if top.has("spec") else top, meta)


def read_istio_operator(top: Fields, meta: Meta) -> MeshConfig | None:
    """The rest of an IstioOperator says how to install Istio."""
    spec = top.mapping("spec")
    if not spec.has("meshConfig"):
        return None
    return _read(spec.mapping("meshConfig"), meta)


def read_config_map(top: Fields, meta: Meta) -> MeshConfig | None:
    """Only Istio's own ConfigMap; those of revisions are named ``istio-REVISION``."""
    data = top.mapping("data") if isinstance(top.raw("data"), dict) else Fields({}, (), Report())
    if (meta.name != "istio" and not meta.name.startswith("istio-")) or not data.has("mesh"):
        return None
    text = data.text("mesh")
    try:
        loaded = load(text)
    except BrokenText as error:
        data.error("mesh", f"line {error.line + 1} of it: {error.text}", error.mend)
        return None
    value = loaded[0].value if loaded else {}
    if not isinstance(value, dict):
        data.error("mesh", "must be a mapping")
        return None
    return _read(Fields(value, data.at("mesh"), top.report), meta)


def _read(fields: Fields, meta: Meta) -> MeshConfig:
    root = fields.text("rootNamespace") or DEFAULT_ROOT
    if not is_label(root):
        fields.error("rootNamespace", f"{root!r} is not a namespace")
    proxy = read_proxy_config(fields.mapping("defaultConfig"))
    config = MeshConfig(
        meta,
        _allow_any(fields),
        fields.text("accessLogFile"),
        read_mesh_format(fields),
        fields.duration("connectTimeout", None, LEAST_DURATION),
        root,
        _providers(fields),
        _default_providers(fields),
        fields.texts("defaultServiceExportTo"),
        fields.texts("defaultVirtualServiceExportTo"),
        fields.texts("defaultDestinationRuleExportTo"),
        _trust_domain(fields),
        _aliases(fields),
        fields.flag("enableAutoMtls", True),
        {**proxy.settings, **_refresh_rate(fields)},
        path_normalization=_path_normalization(fields),
        client_cert=proxy.client_cert(DEFAULT),
        mesh_tls=_mesh_tls(fields),
        tls_defaults=_tls_defaults(fields),
        h2_upgrade=fields.choice("h2UpgradePolicy", ("DO_NOT_UPGRADE", "UPGRADE")) == "UPGRADE",
    )
    _check_ports(fields)
    fields.read("defaultHttpRetryPolicy", check_retries)
    fields.later(*_LATER)
    fields.skip(*_NOT_OURS)
    fields.close()
    return config


def _trust_domain(fields: Fields) -> str:
    domain = fields.text("trustDomain")
    if domain and not _TRUST_DOMAIN.match(domain):
        text = f"{domain!r} is not a trust domain"
        fields.error("trustDomain", text, "lower-case letters, digits, '.', '-' and '_'")
        return ""
    return domain


def _aliases(fields: Fields) -> tuple[str, ...]:
    found = []
    for at, domain in enumerate(fields.texts("trustDomainAliases")):
        if _TRUST_DOMAIN.match(domain):
            found.append(domain)
        else:
            path = (*fields.at("trustDomainAliases"), at)
            text = f"{domain!r} is not a trust domain"
            fields.report.error(path, text, "lower-case letters, digits, '.', '-' and '_'")
    return tuple(dict.fromkeys(found))


def _path_normalization(fields: Fields) -> PathNormalization:
    if not fields.has("pathNormalization"):
        return PathNormalization.BASE
    inner = fields.mapping("pathNormalization")
    kinds = [kind.value for kind in PathNormalization]
    chosen = inner.choice("normalization", ["DEFAULT", *kinds], "DEFAULT")
    inner.close()
    return PathNormalization.BASE if chosen == "DEFAULT" else PathNormalization(chosen)


def _check_ports(fields: Fields) -> None:
    """Ports that redirect rules lead to; the sidecar and its init step are told by flags."""
    for name, usual, flag in (
        ("proxyListenPort", 15001, "--outbound-port"),
        ("proxyInboundListenPort", 15006, "--inbound-port"),
    ):
        port = fields.port(name, usual)
        if port != usual:
            text = f"{port} has no effect here: the sidecar is told at its start"
            fields.warn(name, text, f"use {flag}", UNSUPPORTED)


def _mesh_tls(fields: Fields) -> TlsParameters:
    """Of callers' mutual TLS, in which Istio follows nothing but the version."""
    if not fields.flag("verifyCertificateAtClient", True):
        fields.warn(
            "verifyCertificateAtClient", "servers are verified all the same", "", UNSUPPORTED
        )
    if not fields.has("meshMTLS"):
        return ANY
    tls = fields.mapping("meshMTLS")
    found = TlsParameters(read_least(tls))
    for name in ("cipherSuites", "ecdhCurves"):
        if tls.texts(name):
            text = "has no effect on the mesh's mutual TLS, whose ciphers are all safe"
            tls.warn(name, text, "tlsDefaults is for all other TLS", UNSUPPORTED)
    tls.close()
    return found


def _tls_defaults(fields: Fields) -> TlsParameters:
    """Of all TLS but the mesh's own."""
    if not fields.has("tlsDefaults"):
        return ANY
    tls = fields.mapping("tlsDefaults")
    found = read_parameters(tls)
    tls.close()
    return found


def _refresh_rate(fields: Fields) -> dict[str, float]:
    """How often names are looked up whose answers don't say."""
    rate = fields.duration("dnsRefreshRate", None, 1.0)
    return {} if rate is None else {"dns_refresh_rate": rate}


def _allow_any(fields: Fields) -> bool | None:
    if not fields.has("outboundTrafficPolicy"):
        return None
    policy = fields.mapping("outboundTrafficPolicy")
    modes = ("REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS")
    mode = policy.choice("mode", modes, "REGISTRY_ONLY")
    if mode == "ALLOW_ANY_DYNAMIC_DNS":
        policy.later("mode")
    policy.close()
    return mode != "REGISTRY_ONLY"


def _providers(fields: Fields) -> dict[str, LogProvider]:
    found = {}
    for provider in fields.mappings("extensionProviders"):
        name = provider.required("name")
        if provider.has("envoyFileAccessLog"):
            file = provider.mapping("envoyFileAccessLog")
            found[name] = LogProvider(file.text("path") or STDOUT, read_provider_format(file))
            file.later("omitEmptyValues")
            file.close()
        else:
            found[name] = LogProvider(supported=False)
    return found


def _default_providers(fields: Fields) -> tuple[str, ...]:
    if not fields.has("defaultProviders"):
        return ()
    inner = fields.mapping("defaultProviders")
    names = inner.texts("accessLogging")
    inner.later("tracing")
    inner.skip("metrics")
    inner.close()
    return names
