"""Endpoints that are the sidecar's own plain ports."""

from __future__ import annotations

import pytest

from tests.unit.translate.support import one_problem, problems_of

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {selector: {app: a}, ports: [{name: http, port: 9080}]}
---
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a-1}
spec: {address: ADDRESS, labels: {app: a}, ports: PORTS}
---
"""
SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: me}
spec:
  egress:
  - {port: {number: 9080, protocol: HTTP}, bind: BIND, captureMode: NONE, hosts: ["*/*"]}
---
"""
INGRESS = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: me}
spec:
  ingress:
  - port: {number: 9080, protocol: HTTP, name: http}
    bind: 127.0.0.1
    captureMode: NONE
    defaultEndpoint: 127.0.0.1:9080
"""


def entry(address: str, ports: str = "{}") -> str:
    return ENTRY.replace("ADDRESS", address).replace("PORTS", ports)


@pytest.mark.parametrize(
    ("address", "bind"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("10.7.7.7", "0.0.0.0"),
        ("'::1'", "'::'"),
    ],
)
def test_a_call_would_come_back(address: str, bind: str) -> None:
    texts = entry(address), SERVICE, SIDECAR.replace("BIND", bind)
    (problem,) = problems_of(*texts, host_addresses=frozenset({"10.7.7.7"}))
    assert (problem.file, problem.line) == ("0.yaml", 2)
    assert problem.subject == "WorkloadEntry default/a-1"
    assert ":9080 is this sidecar's own port" in problem.text


def test_the_own_app_behind_the_same_port() -> None:
    assert "127.0.0.1:9080 is this sidecar's own port" in one_problem(INGRESS).text


def test_an_app_may_call_itself() -> None:
    own = INGRESS.replace("defaultEndpoint: 127.0.0.1:9080", "defaultEndpoint: 127.0.0.1:8080")
    assert problems_of(entry("127.0.0.1"), SERVICE, own) == []


@pytest.mark.parametrize(
    ("entries", "bind"),
    [
        (entry("127.0.0.1", "{http: 9081}"), "127.0.0.1"),
        (entry("127.0.0.2"), "127.0.0.1"),
        (entry("10.8.8.8"), "0.0.0.0"),
        (entry("a.example.com"), "0.0.0.0"),
    ],
)
def test_other_places_are_left_alone(entries: str, bind: str) -> None:
    assert problems_of(entries, SERVICE, SIDECAR.replace("BIND", bind)) == []
