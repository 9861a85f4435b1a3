"""Endpoints and EndpointSlices."""

from __future__ import annotations

from meshproxy.translate.kinds.endpoints import Backend, Endpoints
from tests.unit.translate.support import Severity, check_fault, typed


def endpoints(text: str) -> Endpoints:
    value, problems = typed(text)
    assert not problems, problems
    assert isinstance(value, Endpoints)
    return value


SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a-1, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
"""


def test_a_slice() -> None:
    text = (
        SLICE
        + """\
ports: [{name: http, port: 8080}, {port: 9090, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]
endpoints:
- addresses: [10.0.0.1, 10.0.0.2]
  targetRef: {kind: Pod, name: a-x}
- {addresses: [10.0.0.3], conditions: {ready: false}, targetRef: {kind: Node, name: n}}
- {addresses: [10.0.0.4], conditions: {ready: null}}
"""
    )
    (only,) = endpoints(text).sets
    assert only.service == "a"
    assert only.backends == (
        Backend("10.0.0.1", True, "a-x"),
        Backend("10.0.0.2", True, "a-x"),
        Backend("10.0.0.3", False),
        Backend("10.0.0.4"),
    )
    assert (only.port("http"), only.port(""), only.port("dns")) == (8080, 9090, 0)


def test_endpoints() -> None:
    text = """\
apiVersion: v1
kind: Endpoints
metadata: {name: a}
subsets:
- addresses: [{ip: 10.0.0.1, targetRef: {kind: Pod, name: p}}]
  notReadyAddresses: [{ip: 10.0.0.2}]
  ports: [{port: 80}]
- {addresses: [{ip: 'FD00::1'}], ports: [{name: b, port: 81}]}
"""
    first, second = endpoints(text).sets
    assert first.backends == (Backend("10.0.0.1", True, "p"), Backend("10.0.0.2", False))
    assert second.backends == (Backend("fd00::1"),)
    assert second.port("b") == 81


def test_host_names_are_left_out_and_said() -> None:
    text = SLICE.replace("IPv4", "FQDN") + "endpoints: [{addresses: [a.example]}]\n"
    value, _ = typed(text)
    assert value.sets == ()
    check_fault(text, "addressType", "not looked up", severity=Severity.WARNING)


def test_a_slice_of_no_service() -> None:
    text = SLICE.replace(", labels: {kubernetes.io/service-name: a}", ", labels: {}")
    check_fault(text, "metadata.labels", "belongs to no service", severity=Severity.WARNING)


def test_faults() -> None:
    check_fault(SLICE + "endpoints: [{addresses: [x]}]\n", "endpoints[0].addresses", "IP address")
    check_fault(SLICE + "ports: [{port: 0}]\n", "ports[0].port")
    check_fault(SLICE.replace("IPv4", "IPv5"), "addressType", "did you mean IPv")
