"""VirtualServices as a whole; the parts have files of their own."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.virtual_service import VirtualService
from tests.unit.translate.support import Severity, check_fault, typed

ROUTE = "http: [{route: [{destination: {host: b}}]}]"


def text(*spec: str) -> str:
    lines = "".join(f"  {line}\n" for line in spec)
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        f"spec:\n{lines}"
    )


def rule(*spec: str) -> VirtualService:
    value, problems = typed(text(*spec))
    assert not problems, [str(each) for each in problems]
    assert isinstance(value, VirtualService)
    return value


def test_hosts_are_in_lower_case() -> None:
    assert rule("hosts: [Reviews, '*.Example.com', 10.0.0.1]", ROUTE).hosts == (
        "reviews",
        "*.example.com",
        "10.0.0.1",
    )


@pytest.mark.parametrize(
    ("gateways", "for_mesh"),
    [("[]", True), ("[mesh]", True), ("[g, mesh]", True), ("[g]", False), ("[ns/g]", False)],
)
def test_whether_sidecars_follow_it(gateways: str, for_mesh: bool) -> None:
    assert rule("hosts: [a]", f"gateways: {gateways}", ROUTE).for_mesh is for_mesh


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (["hosts: [a]"], "spec.http", ["has no routes"]),
        (["hosts: ['*']", ROUTE], "spec.hosts[0]", ["all of the mesh"]),
        (["hosts: [a b]", ROUTE], "spec.hosts[0]", ["not a host name"]),
        (["hosts: [a/b]", ROUTE], "spec.hosts[0]", ["not a host name"]),
        (["hosts: ['*.*.com']", ROUTE], "spec.hosts[0]", ["not a host name"]),
        (["hosts: ['*.a.com', b.a.com]", ROUTE], "spec.hosts[1]", ["falls under *.a.com"]),
        (["hosts: [a, a]", ROUTE], "spec.hosts[1]", ["falls under a"]),
        (["hosts: [a]", "gateways: ['*/g']", ROUTE], "spec.gateways[0]", ["NAMESPACE/NAME"]),
        (["hosts: [a]", "gateways: [b@d]", ROUTE], "spec.gateways[0]", ["not a host name"]),
        (["hosts: [a]", "exportTo: [x, x]", ROUTE], "spec.exportTo[1]", ["twice"]),
        (["hosts: [a]", "exportTo: ['.', default]", ROUTE], "spec.exportTo[1]", ["twice"]),
        (["hosts: [a]", "exportTo: ['~']", ROUTE], "spec.exportTo[0]", ["not a namespace"]),
        (["hosts: [a]", "exportTo: ['*', x]", ROUTE], "spec.exportTo", ["beside"]),
        (["gateways: [g]", ROUTE], "spec.gateways", ["delegate"]),
        (["tcp: [{route: [{destination: {host: b}}]}]"], "spec.tcp", ["delegate"]),
        (
            ["hosts: [a]", "http:", "- match: [{headers: {'@request.auth.claims.x': {exact: a}}}]",
             "  route: [{destination: {host: b}}]"],
            'spec.http[0].match[0].headers["@request.auth.claims.x"]',
            ["gateways"],
        ),
    ],
)  # fmt: skip
def test_faults(spec: list[str], field: str, words: list[str]) -> None:
    check_fault(text(*spec), field, *words)


def test_warnings() -> None:
    check_fault(
        text("hosts: [a]", "gateways: [g.ns.svc.cluster.local, mesh]", ROUTE),
        "spec.gateways[0]",
        "old spelling",
        "ns/g",
        severity=Severity.WARNING,
    )
    check_fault(
        text("hosts: [a]", "htttp: []", ROUTE),
        "spec.htttp",
        "did you mean http?",
        severity=Severity.WARNING,
    )
