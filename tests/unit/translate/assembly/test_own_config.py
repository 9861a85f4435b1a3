"""The annotation of the own Pod, over MeshConfig."""

from __future__ import annotations

import pytest

from meshproxy.model.client_cert import CertDetails, ClientCert, ForwardMode
from meshproxy.translate import Severity
from tests.unit.translate.support import translated

MESH = """
kind: MeshConfig
defaultConfig:
  fileFlushInterval: 2s
  proxyHeaders:
    forwardedClientCert: SANITIZE_SET
    setCurrentClientCertDetails: {uri: false}
"""


def pod(annotation: str, name: str = "mine", ip: str = "10.0.0.1", more: str = "") -> str:
    lines = "".join(f"      {line}\n" for line in annotation.splitlines())
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  annotations:\n"
        f"    proxy.istio.io/config: |\n{lines}{more}status: {{podIP: {ip}}}\n"
    )


@pytest.mark.parametrize(
    ("annotation", "told", "flush"),
    [
        ("{}", ClientCert(ForwardMode.SANITIZE_SET, CertDetails(uri=False)), 2.0),
        (
            "proxyHeaders: {forwardedClientCert: FORWARD_ONLY}",
            ClientCert(ForwardMode.FORWARD_ONLY, CertDetails(uri=False)),
            2.0,
        ),
        (
            "fileFlushInterval: 3s\n"
            "proxyHeaders:\n  setCurrentClientCertDetails: {uri: true, cert: true}",
            ClientCert(ForwardMode.SANITIZE_SET, CertDetails(cert=True)),
            3.0,
        ),
        (
            "proxyHeaders: {forwardedClientCert: UNDEFINED}",
            ClientCert(ForwardMode.SANITIZE_SET, CertDetails(uri=False)),
            2.0,
        ),
    ],
)
def test_field_by_field(annotation: str, told: ClientCert, flush: float) -> None:
    other = pod("proxyHeaders: {forwardedClientCert: SANITIZE}", "other", "10.0.0.2")
    found = translated(MESH, pod(annotation), other, me="default/mine")
    assert not found.errors, [str(each) for each in found.errors]
    assert found.snapshot is not None
    assert found.snapshot.client_cert == told
    assert found.snapshot.settings.access_log_flush == flush


@pytest.mark.parametrize(
    ("annotation", "field", "severity"),
    [
        ("{", "", Severity.ERROR),
        ("[]", "", Severity.ERROR),
        (
            "proxyHeaders: {forwardedClientCert: X}",
            ".proxyHeaders.forwardedClientCert",
            Severity.ERROR,
        ),
        ("proxyHeader: {}", ".proxyHeader", Severity.WARNING),
        ("concurrency: 3", ".concurrency", Severity.WARNING),
    ],
)
def test_faults_are_those_of_the_pod(annotation: str, field: str, severity: Severity) -> None:
    found = translated(pod(annotation), me="default/mine")
    (problem,) = [each for each in found.problems if "proxy.istio.io" in each.field]
    assert problem.field == f'metadata.annotations["proxy.istio.io/config"]{field}'
    assert (problem.severity, problem.subject) == (severity, "Pod default/mine")
