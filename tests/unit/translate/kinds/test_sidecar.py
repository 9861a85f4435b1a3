"""Sidecars."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.common import Destination
from meshproxy.translate.kinds.sidecar import Egress, Ingress, Sidecar, SidecarPort
from meshproxy.translate.protocol import Protocol
from tests.unit.translate.support import Severity, check_fault, typed


def text(*spec: str) -> str:
    lines = "".join(f"  {line}\n" for line in spec)
    return (
        f"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: a}}\nspec:\n{lines}"
    )


def sidecar(*spec: str) -> Sidecar:
    value, problems = typed(text(*spec))
    assert not problems, [str(each) for each in problems]
    assert isinstance(value, Sidecar)
    return value


def test_egress() -> None:
    found = sidecar(
        "egress:",
        "- {port: {number: 9080, protocol: HTTP, name: http}, bind: 127.0.0.1, captureMode: NONE,",
        "   hosts: [./*, ns/A.com]}",
        "- {hosts: ['*/*', '~ns/*']}",
    )
    assert found.egress == (
        Egress(
            ((".", "*"), ("ns", "a.com")),
            SidecarPort(9080, Protocol.HTTP, "http"),
            "127.0.0.1",
            captured=False,
        ),
        Egress((("*", "*"), ("~ns", "*"))),
    )


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("'[::1]:80'", ("::1", 80)),
        ("'[::]:80'", ("::", 80)),
        ("':80'", ("127.0.0.1", 80)),
        ("''", None),
    ],
)
def test_ingress(endpoint: str, expected: tuple[str, int] | None) -> None:
    found = sidecar(
        f"ingress: [{{port: {{number: 1, protocol: tcp}}, defaultEndpoint: {endpoint}}}]"
    )
    assert found.ingress == (Ingress(SidecarPort(1, Protocol.TCP), endpoint=expected),)


def test_the_rest() -> None:
    found = sidecar(
        "workloadSelector: {labels: {a: b}}", "outboundTrafficPolicy: {mode: ALLOW_ANY}"
    )
    assert (found.selector, found.allow_any) == ({"a": "b"}, True)
    assert sidecar("outboundTrafficPolicy: {}", "egress: [{hosts: ['*/*']}]").allow_any is False
    assert sidecar("egress: [{hosts: ['*/*']}]").allow_any is None
    proxy = "egressProxy: {host: Proxy.corp, subset: v1, port: {number: 3128}}"
    found = sidecar(f"outboundTrafficPolicy: {{mode: ALLOW_ANY, {proxy}}}")
    assert found.egress_proxy == Destination("proxy.corp", "v1", 3128)


ANY = "hosts: ['*/*']"


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ("{}", "", ["says nothing"]),
        ("egress: [{}]", ".egress[0].hosts", ["is required"]),
        ("egress: [{hosts: ['*']}]", ".egress[0].hosts[0]", ["namespace is missing"]),
        ("egress: [{hosts: [ns/*a.com]}]", ".egress[0].hosts[0]", ["whole labels"]),
        ("egress: [{hosts: [a_b/*]}]", ".egress[0].hosts[0]", ["not a namespace"]),
        (f"egress: [{{{ANY}}}, {{{ANY}}}]", ".egress[0].port", ["last"]),
        (f"egress: [{{port: {{number: 0, protocol: HTTP}}, {ANY}}}]", ".egress[0].port", ["unix"]),
        (
            f"egress: [{{port: {{number: 1, protocol: WEB}}, {ANY}}}]",
            ".egress[0].port.protocol",
            ["not a protocol"],
        ),
        (f"egress: [{{port: {{number: 70000}}, {ANY}}}]", ".egress[0].port.number", ["70000"]),
        (
            f"egress: [{{port: {{number: 1, targetPort: 2}}, {ANY}}}]",
            ".egress[0].port.targetPort",
            ["means nothing"],
        ),
        (f"egress: [{{port: {{number: 1, name: a_b}}, {ANY}}}]", ".egress[0].port.name", ["name"]),
        (
            f"egress: [{{port: {{number: 1}}, bind: here, {ANY}}}]",
            ".egress[0].bind",
            ["IP address"],
        ),
        (
            f"egress: [{{port: {{number: 1}}, bind: 'unix:///a', {ANY}}}]",
            ".egress[0].bind",
            ["port"],
        ),
        (
            f"egress: [{{port: {{number: 0}}, bind: 'unix:///a', captureMode: IPTABLES, {ANY}}}]",
            ".egress[0].captureMode",
            ["captured"],
        ),
        (
            f"egress: [{{port: {{number: 1}}, {ANY}}}, {{port: {{number: 1}}, {ANY}}}]",
            ".egress[1].port",
            ["same port"],
        ),
        ("egress: [{hosts: [ns/a]}]", ".egress[0].hosts[0]", ["short name"]),
        ("ingress: [{defaultEndpoint: '127.0.0.1:1'}]", ".ingress[0].port", ["is required"]),
        (
            "ingress: [{port: {number: 1}, defaultEndpoint: '10.0.0.1:1'}]",
            ".ingress[0].defaultEndpoint",
            ["this app"],
        ),
        (
            "ingress: [{port: {number: 1}, defaultEndpoint: '127.0.0.1:x'}]",
            ".ingress[0].defaultEndpoint",
            ["this app"],
        ),
        (
            "ingress: [{port: {number: 1}, defaultEndpoint: 'unix://'}]",
            ".ingress[0].defaultEndpoint",
            ["socket"],
        ),
        ("ingress: [{port: {number: 1}}, {port: {number: 1}}]", ".ingress[1].port", ["port 1"]),
        (
            "ingress: [{port: {number: 1}, tls: {mode: ISTIO_MUTUAL}}]",
            ".ingress[0].tls.mode",
            ["can't be used"],
        ),
        (
            "ingress: [{port: {number: 1}, tls: {mode: SIMPLE}}]",
            ".ingress[0].tls.privateKey",
            ["required"],
        ),
        (
            "ingress: [{port: {number: 1}, tls: {httpsRedirect: true}}]",
            ".ingress[0].tls.httpsRedirect",
            ["can't be used"],
        ),
        (
            "ingress: [{port: {number: 1}, tls: {credentialName: a}}]",
            ".ingress[0].tls.credentialName",
            ["can't be used"],
        ),
        (
            "ingress: [{port: {number: 1}, connectionPool: {}}]",
            ".ingress[0].connectionPool",
            ["http or tcp"],
        ),
        ("workloadSelector: {labels: {a: '*'}}", ".workloadSelector.labels.a", ["wildcards"]),
        ("outboundTrafficPolicy: {mode: NOWHERE}", ".outboundTrafficPolicy.mode", ["not known"]),
        (
            "outboundTrafficPolicy: {egressProxy: {host: a, port: {number: 1}}}",
            ".outboundTrafficPolicy.egressProxy",
            ["ALLOW_ANY"],
        ),
        (
            "ingress: [{port: {number: 443, protocol: HTTP}, "
            "tls: {mode: SIMPLE, serverCertificate: a, privateKey: b}}]",
            ".ingress[0].tls",
            ["HTTPS or TLS"],
        ),
        (
            "outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a}}",
            ".outboundTrafficPolicy.egressProxy.port",
            ["required"],
        ),
    ],
)
def test_faults(spec: str, field: str, words: list[str]) -> None:
    check_fault(text(spec), f"spec{field}", *words)


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ("egress: [{hosts: ['*/*', ns/a.b]}]", ".egress[0].hosts", ["everything"]),
        ("egress: [{hosts: [ns/*, ns/a.b]}]", ".egress[0].hosts", ["taken already"]),
        ("egress: [{hosts: [./*, default/a.b]}]", ".egress[0].hosts", ["taken already"]),
        ("{workloadSelector: {}, egress: [{hosts: ['*/*']}]}", ".workloadSelector", ["every"]),
        (
            f"egress: [{{port: {{number: 0}}, bind: 'unix:///a', {ANY}}}]",
            ".egress[0].bind",
            ["not implemented"],
        ),
        (
            "ingress: [{port: {number: 1}, defaultEndpoint: 'unix:///a'}]",
            ".ingress[0].defaultEndpoint",
            ["not implemented"],
        ),
        (
            "ingress: [{port: {number: 1, protocol: TCP}, "
            "connectionPool: {http: {maxRetries: 1}}}]",
            ".ingress[0].connectionPool",
            ["mean nothing"],
        ),
        (
            "inboundConnectionPool: {tcp: {maxConnections: 1}}",
            ".inboundConnectionPool",
            ["not implemented"],
        ),
        (
            f"egress: [{{port: {{number: 1, protocol: HTTP_PROXY}}, {ANY}}}]",
            ".egress[0].port.protocol",
            ["plain HTTP", "NONE"],
        ),
    ],
)
def test_warnings(spec: str, field: str, words: list[str]) -> None:
    check_fault(text(spec), f"spec{field}", *words, severity=Severity.WARNING)
