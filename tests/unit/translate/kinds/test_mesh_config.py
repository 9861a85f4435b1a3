"""MeshConfig in its three shapes, and access-log formats."""

from __future__ import annotations

import pytest

from meshproxy.model.client_cert import DEFAULT, CertDetails, ClientCert, ForwardMode
from meshproxy.model.logformat import parse_format
from meshproxy.model.tls import ANY, TlsParameters, TlsVersion
from meshproxy.translate.kinds.access_log import DEFAULT_JSON, DEFAULT_TEXT, JSON, TEXT, LogFormat
from meshproxy.translate.kinds.mesh_config import LogProvider, MeshConfig
from tests.unit.translate.support import Severity, check_fault, typed

BODY = """\
accessLogFile: /dev/stderr
connectTimeout: 3s
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
rootNamespace: root
defaultServiceExportTo: ['.']
"""


def bare(body: str) -> str:
    return f"kind: MeshConfig\n{body}"


def indented(body: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in body.splitlines())


def config_map(body: str) -> str:
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n"
    return f"{head}data:\n  meshNetworks: 'networks: {{}}'\n  mesh: |-\n{indented(body, 4)}"


def operator(body: str) -> str:
    head = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n"
    return f"{head}spec:\n  profile: default\n  meshConfig:\n{indented(body, 4)}"


@pytest.mark.parametrize("shape", [bare, config_map, operator])
def test_shapes(shape: object) -> None:
    assert callable(shape)
    value, problems = typed(shape(BODY))
    assert not problems, [str(each) for each in problems]
    assert isinstance(value, MeshConfig)
    assert (value.access_log_file, value.connect_timeout) == ("/dev/stderr", 3.0)
    assert (value.allow_any, value.root_namespace) == (False, "root")
    assert value.service_export_to == (".",)


@pytest.mark.parametrize("shape", [bare, config_map, operator])
def test_problems_have_lines_in_every_shape(shape: object) -> None:
    assert callable(shape)
    text = shape(BODY.replace("3s", "soon"))
    (problem,) = typed(text)[1]
    assert problem.severity is Severity.ERROR
    assert problem.field.endswith("connectTimeout")
    assert "connectTimeout: soon" in text.splitlines()[problem.line - 1]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {mesh: 'a: 1'}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata: {}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\nbinaryData: {a: b}\n",
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {profile: demo}\n",
    ],
)
def test_objects_without_a_mesh(text: str) -> None:
    assert typed(text) == (None, [])


def test_a_broken_mesh_in_a_config_map() -> None:
    (problem,) = typed(config_map("a: [\n"))[1]
    assert (problem.field, problem.severity) == ("data.mesh", Severity.ERROR)
    assert "line 1 of it" in problem.text
    check_fault(config_map("- a"), "data.mesh", "must be a mapping")


def formats(body: str) -> LogFormat:
    value, problems = typed(bare(body))
    assert not problems, [str(each) for each in problems]
    found: LogFormat = value.log_format
    return found


def test_formats() -> None:
    assert formats("accessLogFile: a") == TEXT
    assert formats("accessLogEncoding: JSON") == JSON
    assert formats("accessLogFormat: 'x %PROTOCOL% 100%%'") == LogFormat("x %PROTOCOL% 100%%")
    assert formats('accessLogFormat: "%PROTOCOL%\\n"') == LogFormat("%PROTOCOL%")
    body = 'accessLogEncoding: JSON\naccessLogFormat: \'{"b": "%PROTOCOL%", "a": 1}\''
    assert formats(body) == LogFormat("", (("b", "%PROTOCOL%"), ("a", "1")))


def test_the_defaults_can_be_written() -> None:
    assert parse_format(DEFAULT_TEXT)
    for _, text in DEFAULT_JSON:
        assert parse_format(text)
    assert len(dict(DEFAULT_JSON)) == 24


def test_providers() -> None:
    body = """\
extensionProviders:
- {name: a, envoyFileAccessLog: {path: /a}}
- {name: b, envoyFileAccessLog: {logFormat: {labels: {k: "%PROTOCOL%"}}}}
- {name: c, envoyOtelAls: {service: s, port: 1}}
defaultProviders: {accessLogging: [a]}
"""
    value, problems = typed(bare(body))
    assert not problems
    assert value.providers == {
        "a": LogProvider("/a"),
        "b": LogProvider("/dev/stdout", LogFormat("", (("k", "%PROTOCOL%"),))),
        "c": LogProvider(supported=False),
    }
    assert value.log_providers == ("a",)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ("accessLogFormat: '50%'", "accessLogFormat", ["write %%"]),
        ("accessLogFormat: '%REQ%'", "accessLogFormat", ["REQ"]),
        ("{accessLogEncoding: JSON, accessLogFormat: 'a'}", "accessLogFormat", ["not JSON"]),
        ("{accessLogEncoding: JSON, accessLogFormat: '[1]'}", "accessLogFormat", ["mapping"]),
        ("accessLogEncoding: XML", "accessLogEncoding", ["not known"]),
        ("rootNamespace: a_b", "rootNamespace", ["not a namespace"]),
        ("meshMTLS: {minProtocolVersion: SSL3}", "meshMTLS.minProtocolVersion", ["not known"]),
        ("tlsDefaults: {cipherSuites: [AES128-SHA]}", "tlsDefaults.cipherSuites", ["none of them"]),
        (
            "defaultConfig: {proxyHeaders: {forwardedClientCert: MAYBE}}",
            "defaultConfig.proxyHeaders.forwardedClientCert",
            ["not known"],
        ),
        ("trustDomainAliases: [a, B]", "trustDomainAliases[1]", ["not a trust domain"]),
        ("enableAutoMtls: 1", "enableAutoMtls", ["true or false"]),
        ("outboundTrafficPolicy: {mode: NEVER}", "outboundTrafficPolicy.mode", ["not known"]),
        (
            "extensionProviders: [{envoyFileAccessLog: {}}]",
            "extensionProviders[0].name",
            ["required"],
        ),
        ("connectTimeout: 1", "connectTimeout", ["duration"]),
        ("trustDomain: Mesh_A/b", "trustDomain", ["not a trust domain"]),
        ("defaultConfig: {fileFlushInterval: 1}", "defaultConfig.fileFlushInterval", ["duration"]),
    ],
)
def test_faults(body: str, field: str, words: list[str]) -> None:
    text = bare(body) if not body.startswith("{") else f"kind: MeshConfig\nspec: {body}"
    check_fault(text, field if not body.startswith("{") else f"spec.{field}", *words)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ("accessLogFormat: '%REQ(a)% %DOWNSTREAM_PEER_CERT%'", "accessLogFormat", ["'-'"]),
        ("accessLogFiel: a", "accessLogFiel", ["did you mean accessLogFile?"]),
        ("tcpKeepalive: {probes: 1}", "tcpKeepalive", ["not implemented"]),
        ("tlsDefaults: {ecdhCurves: [X25519]}", "tlsDefaults.ecdhCurves", ["P-256", "no effect"]),
        ("tlsDefaults: {ecdhCurves: [P-256, P-384]}", "tlsDefaults.ecdhCurves", ["no effect"]),
        (
            "tlsDefaults: {cipherSuites: [AES128-SHA, ECDHE-RSA-AES128-GCM-SHA256]}",
            "tlsDefaults.cipherSuites[0]",
            ["AES128-SHA", "AEAD"],
        ),
        (
            "tlsDefaults: {cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, TLS_AES_128_GCM_SHA256]}",
            "tlsDefaults.cipherSuites[1]",
            ["TLS 1.3"],
        ),
        (
            "tlsDefaults: {minProtocolVersion: TLSV1_1}",
            "tlsDefaults.minProtocolVersion",
            ["nothing below TLS 1.2"],
        ),
        ("tlsDefaults: {maxProtocolVersion: TLSV1_2}", "tlsDefaults.maxProtocolVersion", ["not k"]),
        ("meshMTLS: {cipherSuites: [A]}", "meshMTLS.cipherSuites", ["no effect"]),
        ("meshMTLS: {ecdhCurves: [P-256]}", "meshMTLS.ecdhCurves", ["no effect"]),
        (
            "defaultConfig: {proxyHeaders: {server: {value: x}}}",
            "defaultConfig.proxyHeaders.server",
            ["not implemented"],
        ),
        ("verifyCertificateAtClient: false", "verifyCertificateAtClient", ["all the same"]),
        ("proxyListenPort: 16001", "proxyListenPort", ["--outbound-port"]),
        ("defaultConfig: {tracing: {sampling: 1}}", "defaultConfig.tracing", ["not implemented"]),
        ("defaultConfig: {concurency: 1}", "defaultConfig.concurency", ["concurrency?"]),
        ("defaultConfig: {concurrency: 4}", "defaultConfig.concurrency", ["--concurrency"]),
        (
            "defaultConfig: {terminationDrainDuration: 40s}",
            "defaultConfig.terminationDrainDuration",
            ["--drain-duration"],
        ),
        (
            "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}}",
            "defaultConfig.proxyMetadata.ISTIO_META_DNS_CAPTURE",
            ["--dns-capture"],
        ),
    ],
)
def test_warnings(body: str, field: str, words: list[str]) -> None:
    check_fault(bare(body), field, *words, severity=Severity.WARNING)


def test_what_every_installation_says_is_no_news() -> None:
    """As `istioctl install` writes the ConfigMap."""
    body = """\
defaultConfig:
  discoveryAddress: istiod.istio-system.svc:15012
  proxyAdminPort: 15000
  statusPort: 15020
  drainDuration: 45s
  terminationDrainDuration: 5s
  interceptionMode: REDIRECT
  proxyMetadata: {}
  tracing: {}
defaultProviders: {metrics: [prometheus]}
enablePrometheusMerge: true
ingressClass: istio
trustDomain: cluster.local
"""
    assert typed(config_map(body))[1] == []


def test_the_process_and_the_trust_domain() -> None:
    body = "trustDomain: mesh.example\ndefaultConfig: {fileFlushInterval: 250ms}\n"
    value, problems = typed(bare(body))
    assert not problems
    assert (value.trust_domain, value.settings) == ("mesh.example", {"access_log_flush": 0.25})


def test_what_holds_in_any_case_is_not_warned_about() -> None:
    body = (
        "meshMTLS: {minProtocolVersion: TLSV1_2}\ntlsDefaults: {minProtocolVersion: TLS_AUTO}\n"
        "verifyCertificateAtClient: true\n"
    )
    assert typed(bare(body))[1] == []


CIPHER = "ECDHE-RSA-AES128-GCM-SHA256"


@pytest.mark.parametrize(
    ("body", "mesh", "others"),
    [
        ("meshMTLS: {minProtocolVersion: TLSV1_3}", TlsParameters(TlsVersion.V1_3), ANY),
        (
            f"tlsDefaults: {{minProtocolVersion: TLSV1_2, cipherSuites: [{CIPHER}]}}",
            ANY,
            TlsParameters(TlsVersion.V1_2, None, (CIPHER,)),
        ),
        (
            f"tlsDefaults: {{cipherSuites: ['[{CIPHER}|ECDHE-ECDSA-CHACHA20-POLY1305]']}}",
            ANY,
            TlsParameters(ciphers=(CIPHER, "ECDHE-ECDSA-CHACHA20-POLY1305")),
        ),
        ("tlsDefaults: {ecdhCurves: [P-256]}", ANY, TlsParameters(curve="prime256v1")),
    ],
)
def test_parameters_of_tls(body: str, mesh: TlsParameters, others: TlsParameters) -> None:
    value, problems = typed(bare(body))
    assert not problems
    assert (value.mesh_tls, value.tls_defaults) == (mesh, others)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ("{}", DEFAULT),
        ("{forwardedClientCert: UNDEFINED}", DEFAULT),
        ("{forwardedClientCert: APPEND_FORWARD}", DEFAULT),
        ("{forwardedClientCert: SANITIZE}", ClientCert(ForwardMode.SANITIZE)),
        ("{forwardedClientCert: ALWAYS_FORWARD_ONLY}", ClientCert(ForwardMode.ALWAYS_FORWARD_ONLY)),
        ("{setCurrentClientCertDetails: {subject: true, uri: true, dns: true}}", DEFAULT),
        (
            "{setCurrentClientCertDetails: {subject: false, cert: true, chain: true}}",
            ClientCert(details=CertDetails(subject=False, cert=True, chain=True)),
        ),
    ],
)
def test_what_the_app_is_told_of_callers(headers: str, wanted: ClientCert) -> None:
    """What is not said is as Istio has it (`buildSidecarInboundHTTPOpts`)."""
    value, problems = typed(bare(f"defaultConfig: {{proxyHeaders: {headers}}}"))
    assert not problems
    assert value.client_cert == wanted
