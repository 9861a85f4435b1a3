"""TCP and TLS routes."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.common import Destination
from meshproxy.translate.kinds.l4_route import L4Arm, L4Match
from tests.unit.translate.support import Severity, check_fault, typed


def text(kind: str, route: str, hosts: str = "[a.com]") -> str:
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        f"spec:\n  hosts: {hosts}\n  {kind}:\n  - {route}\n"
    )


def test_a_tcp_route() -> None:
    line = (
        "{match: [{port: 80, destinationSubnets: [10.0.0.0/8], gateways: [mesh], "
        "sourceLabels: {a: b}, sourceNamespace: n}], route: [{destination: {host: b}, weight: 3}]}"
    )
    value, problems = typed(text("tcp", line))
    assert not problems
    (route,) = value.tcp
    assert route.matches == (L4Match(80, ("10.0.0.0/8",), ("mesh",), {"a": "b"}, "n"),)
    assert route.arms == (L4Arm(Destination("b"), 3),)


def test_a_tls_route() -> None:
    line = "{match: [{sniHosts: [a.com], port: 443}], route: [{destination: {host: b}}]}"
    (route,) = typed(text("tls", line))[0].tls
    assert route.matches[0].sni_hosts == ("a.com",)


TO_B = "route: [{destination: {host: b}}]"


@pytest.mark.parametrize(
    ("kind", "route", "field", "words"),
    [
        ("tcp", "match: [{port: 80}]", "route", ["is required"]),
        ("tcp", f"{{match: [{{port: 0.5}}], {TO_B}}}", "match[0].port", ["whole number"]),
        ("tcp", f"{{match: [{{destinationSubnets: [x]}}], {TO_B}}}",
         "match[0].destinationSubnets[0]", ["subnet"]),
        ("tcp", "route: [{destination: {host: b}, weight: -1}]", "route[0].weight", ["-1"]),
        ("tcp", "route: [{destination: {host: b}}, {destination: {host: c}}]", "route", ["add up"]),
        ("tcp", "route: [{}]", "route[0].destination", ["is required"]),
        ("tls", TO_B, "match", ["is required"]),
        ("tcp", f"{{match: [{{port: ''}}], {TO_B}}}", "match[0].port", ["whole number"]),
        ("tls", f"{{match: [{{port: 443}}], {TO_B}}}", "match[0].sniHosts", ["is required"]),
        ("tls", f"{{match: [{{sniHosts: [b.com]}}], {TO_B}}}", "match[0].sniHosts[0]", ["none of"]),
        ("tls", f"{{match: [{{sniHosts: [b c]}}], {TO_B}}}", "match[0].sniHosts[0]", ["host name"]),
    ],
)  # fmt: skip
def test_faults(kind: str, route: str, field: str, words: list[str]) -> None:
    check_fault(text(kind, route), f"spec.{kind}[0].{field}", *words)


@pytest.mark.parametrize(
    ("kind", "route", "field", "words"),
    [
        ("tls", f"{{match: [{{sniHosts: [10.0.0.1]}}], {TO_B}}}", "match[0].sniHosts[0]", ["SNI"]),
        ("tcp", f"{{match: [{{sourceSubnet: x}}], {TO_B}}}", "match[0].sourceSubnet", ["not impl"]),
    ],
)
def test_warnings(kind: str, route: str, field: str, words: list[str]) -> None:
    check_fault(text(kind, route), f"spec.{kind}[0].{field}", *words, severity=Severity.WARNING)
