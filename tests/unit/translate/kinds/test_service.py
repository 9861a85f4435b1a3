"""Services."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.service import Service, ServicePort
from meshproxy.translate.protocol import Protocol
from tests.unit.translate.support import Severity, check_fault, typed


def text(spec: str, metadata: str = "name: a") -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{{metadata}}}\nspec:\n  {spec}\n"


def service(spec: str, metadata: str = "name: a") -> Service:
    value, problems = typed(text(spec, metadata))
    assert not problems, problems
    assert isinstance(value, Service)
    return value


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ("{port: 80}", ServicePort(80, "", Protocol.UNDECLARED, 80)),
        ("{port: 80, name: http}", ServicePort(80, "http", Protocol.HTTP, 80)),
        ("{port: 80, targetPort: 8080}", ServicePort(80, "", Protocol.UNDECLARED, 8080)),
        ("{port: 80, targetPort: web}", ServicePort(80, "", Protocol.UNDECLARED, "web")),
        ('{port: 80, targetPort: "81"}', ServicePort(80, "", Protocol.UNDECLARED, 81)),
        ("{port: 80, targetPort: 0}", ServicePort(80, "", Protocol.UNDECLARED, 80)),
        ("{port: 80, appProtocol: grpc}", ServicePort(80, "", Protocol.GRPC, 80)),
        ("{port: 25}", ServicePort(25, "", Protocol.TCP, 25)),
    ],
)
def test_ports(port: str, expected: ServicePort) -> None:
    assert service(f"ports: [{port}]").ports == (expected,)


def test_the_first_port_of_a_number_counts() -> None:
    two = "{port: 80, name: http-a, targetPort: 1}, {port: 80, name: tcp-b, targetPort: 2}"
    value, _ = typed(text(f"ports: [{two}, {{port: 80, name: dns, protocol: UDP}}]"))
    assert value.ports == (ServicePort(80, "http-a", Protocol.HTTP, 1),)


def test_udp_is_left_out() -> None:
    ports = "[{port: 53, name: dns, protocol: UDP}, {port: 53, name: dns-tcp, protocol: TCP}]"
    assert [port.name for port in service(f"ports: {ports}").ports] == ["dns-tcp"]


@pytest.mark.parametrize(
    ("spec", "addresses", "headless"),
    [
        ("clusterIP: 10.0.0.1", ("10.0.0.1",), False),
        ("clusterIPs: [10.0.0.1, 'FD00:0::1']", ("10.0.0.1", "fd00::1"), False),
        ("clusterIP: None", (), True),
        ("clusterIPs: [None]", (), True),
        ("selector: {app: a}", (), False),
        ("type: ExternalName\n  externalName: b.example.", (), False),
    ],
)
def test_addresses(spec: str, addresses: tuple[str, ...], headless: bool) -> None:
    found = service(spec)
    assert (found.addresses, found.headless) == (addresses, headless)


def test_external_names_export_and_readiness() -> None:
    assert service("type: ExternalName\n  externalName: B.Example.").external_name == "b.example"
    exported = "name: a, annotations: {networking.istio.io/exportTo: '., ns1'}"
    assert service("selector: {}", exported).export_to == (".", "ns1")
    assert service("publishNotReadyAddresses: true").not_ready_too


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ("ports: [{name: http}]", "spec.ports[0].port", ["is required"]),
        ("ports: [{port: 0}]", "spec.ports[0].port", ["1-65535"]),
        ("ports: [{port: http}]", "spec.ports[0].port", ["whole number"]),
        ("ports: [{port: 80, targetPort: 99999}]", "spec.ports[0].targetPort", ["1-65535"]),
        ("ports: [{port: 80, protocol: HTTP}]", "spec.ports[0].protocol", ["not known", "TCP"]),
        ("ports: {port: 80}", "spec.ports", ["must be a list", "'- '"]),
        ("clusterIP: nowhere", "spec.clusterIP", ["not an IP address"]),
        ("type: External", "spec.type", ["did you mean ExternalName?"]),
        ("type: ExternalName", "spec.externalName", ["which host"]),
        ("selector: {app: 1}", "spec.selector.app", ["must be text", "quotes"]),
    ],
)
def test_faults(spec: str, field: str, words: list[str]) -> None:
    check_fault(text(spec), field, *words)


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ("ports: [{port: 80}, {port: 81, name: b}]", "spec.ports", ["no name"]),
        ("ports: [{port: 80, name: b}, {port: 81, name: b}]", "spec.ports", ["two ports"]),
        (
            "ports: [{port: 80, name: a, targetPort: 1}, {port: 80, name: b, targetPort: 2}]",
            "spec.ports[1].port",
            ["before it", "80"],
        ),
        ("selectors: {app: a}", "spec.selectors", ["did you mean selector?"]),
        ("ports: [{port: 80, targetport: 81}]", "spec.ports[0].targetport", ["targetPort"]),
    ],
)
def test_warnings(spec: str, field: str, words: list[str]) -> None:
    check_fault(text(spec), field, *words, severity=Severity.WARNING)
