"""ServiceEntries as they are written."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.service_entry import Resolution, ServiceEntry
from meshproxy.translate.protocol import Protocol
from tests.unit.translate.support import Severity, check_fault, said, typed

PORTS = "ports: [{number: 80, name: http, protocol: HTTP}]"


def text(spec: str) -> str:
    return (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
        f"metadata: {{name: a}}\nspec:\n  {spec}\n"
    )


def entry(spec: str) -> ServiceEntry:
    value, problems = typed(text(spec))
    assert not problems, [str(each) for each in problems]
    assert isinstance(value, ServiceEntry)
    return value


def test_all_of_it() -> None:
    found = entry(
        "{hosts: [API.example.com., '*.example.org'],"
        " addresses: [10.0.0.1, 10.1.2.3/16, 'FD00::/32'],"
        " ports: [{number: 80, name: http, protocol: http, targetPort: 8080},"
        " {number: 53, name: dns, protocol: UDP}],"
        " location: MESH_INTERNAL, resolution: STATIC, exportTo: ['.'],"
        " endpoints: [{address: 10.9.0.1, ports: {http: 81}, labels: {app: a}, weight: 2}]}"
    )
    assert found.hosts == ("api.example.com", "*.example.org")
    assert found.addresses == ("10.0.0.1", "10.1.0.0/16", "fd00::/32")
    (port,) = found.ports
    assert (port.number, port.name, port.protocol, port.target) == (80, "http", Protocol.HTTP, 8080)
    assert (found.resolution, found.external, found.export_to) == (Resolution.STATIC, False, (".",))
    (endpoint,) = found.endpoints
    assert (endpoint.address, endpoint.ports, endpoint.weight) == ("10.9.0.1", {"http": 81}, 2)
    assert endpoint.labels == {"app": "a"}


def test_what_is_not_said() -> None:
    found = entry("{hosts: [a.b], ports: [{number: 80, name: http, protocol: HTTP}]}")
    assert (found.resolution, found.external) == (Resolution.NONE, True)
    assert (found.ports[0].target, found.selector) == (80, None)


def test_a_subnet_of_one_is_an_address() -> None:
    found = entry("{hosts: [a.b], addresses: [10.0.0.1/32, 'fd00::1/128']}")
    assert found.addresses == ("10.0.0.1", "fd00::1")


def test_names_and_locality_are_kept() -> None:
    value, problems = typed(
        text(
            "{hosts: [a.b], resolution: STATIC, subjectAltNames: [spiffe://x/y],"
            " endpoints: [{address: 10.0.0.1, locality: r/z/s}]}"
        )
    )
    assert value.subject_alt_names == ("spiffe://x/y",)
    assert value.endpoints[0].locality == "r/z/s"
    assert [each.field for each in problems] == ["spec.endpoints[0].locality"]


@pytest.mark.parametrize(
    ("spec", "field", "word"),
    [
        ("{hosts: []}", "spec.hosts", "required"),
        ("{hosts: ['*']}", "spec.hosts[0]", "every host"),
        ("{hosts: [a_b.c]}", "spec.hosts[0]", "host name"),
        ("{hosts: [a.b], addresses: [nowhere]}", "spec.addresses[0]", "IP address"),
        (
            "{hosts: [a.b], resolution: DNS, addresses: [10.0.0.0/8]}",
            "spec.addresses[0]",
            "subnets",
        ),
        ("{hosts: [a.b], ports: [{name: http, protocol: HTTP}]}", "spec.ports[0].number", "requir"),
        ("{hosts: [a.b], ports: [{number: 80}]}", "spec.ports[0].name", "required"),
        (
            "{hosts: [a.b], ports: [{number: 80, name: a, protocol: HTTPX}]}",
            "spec.ports[0].protocol",
            "did you mean HTTP",
        ),
        (
            "{hosts: [a.b], ports: [{number: 80, name: a}, {number: 80, name: b}]}",
            "spec.ports[1].number",
            "twice",
        ),
        (
            "{hosts: [a.b], ports: [{number: 80, name: a}, {number: 81, name: a}]}",
            "spec.ports[1].name",
            "two ports",
        ),
        ("{hosts: [a.b], resolution: DSN}", "spec.resolution", "did you mean DNS"),
        ("{hosts: ['*.a.b'], resolution: DNS}", "spec.hosts[0]", "wildcard"),
        (
            "{hosts: [a.b], resolution: STATIC, endpoints: [{address: x.example}]}",
            "spec.endpoints[0].address",
            "resolution: DNS",
        ),
        (
            "{hosts: [a.b], resolution: DNS_ROUND_ROBIN,"
            " endpoints: [{address: a.a}, {address: a.c}]}",
            "spec.endpoints",
            "one endpoint",
        ),
        ("{hosts: [a.b], endpoints: [{address: 10.0.0.1}]}", "spec.endpoints", "NONE"),
        (
            "{hosts: [a.b], ports: [{number: 80, name: a, targetPort: 0}]}",
            "spec.ports[0].targetPort",
            "1-65535",
        ),
        (
            f"{{hosts: [a.b], addresses: [{', '.join(f'10.0.{n}.1' for n in range(257))}]}}",
            "spec.addresses",
            "256 is the most",
        ),
        (
            "{hosts: [a.b], resolution: DNS, endpoints: [{network: n}]}",
            "spec.endpoints[0].address",
            "required",
        ),
        ("{hosts: [a.b], resolution: DYNAMIC_DNS}", "spec.hosts[0]", "wildcards"),
        (
            "{hosts: ['*.b'], addresses: [10.0.0.1], resolution: DYNAMIC_DNS}",
            "spec.addresses",
            "can't stand",
        ),
        (
            "{hosts: ['*.b'], resolution: DYNAMIC_DNS, "
            "ports: [{number: 1, name: x, protocol: MySQL}]}",
            "spec.ports[0].protocol",
            "names the host",
        ),
        (
            "{hosts: [a.b, a.b], resolution: DNS, ports: [{number: 9, name: x}]}",
            "spec.hosts",
            "port x name no host",
        ),
        (
            "{hosts: [a.b, c.d], resolution: DNS, ports: [{number: 9, name: x}]}",
            "spec.hosts",
            "port x name no host",
        ),
        (
            "{hosts: [a.b], workloadSelector: {labels: {a: b}}, resolution: STATIC,"
            " endpoints: [{address: 10.0.0.1}]}",
            "spec.endpoints",
            "together",
        ),
        (
            "{hosts: [a.b], resolution: STATIC, ports: [{number: 80, name: web, protocol: HTTP}],"
            " endpoints: [{address: 10.0.0.1, ports: {wbe: 81}}]}",
            "spec.endpoints[0].ports.wbe",
            "did you mean web",
        ),
    ],
)
def test_faults(spec: str, field: str, word: str) -> None:
    check_fault(text(spec), field, word)


@pytest.mark.parametrize(
    ("spec", "field", "word"),
    [
        ("{hosts: [a.b], ports: [{number: 90, name: x}]}", "spec.ports[0]", "told apart"),
        (
            "{hosts: [a.b, c.d], addresses: [10.0.0.1], resolution: DNS,"
            " ports: [{number: 9, name: x, protocol: TLS}]}",
            "spec.hosts",
            "a.b",
        ),
        ("{hosts: ['*-x.b'], ports: [{number: 80, name: http}]}", "spec.hosts[0]", "parts of"),
        ("{hosts: [a.b], workloadSelector: {labels: {a: b}}}", "spec.workloadSelector", "NONE"),
        ("{hosts: ['*.b'], resolution: DYNAMIC_DNS}", "spec.resolution", "503"),
        (
            "{hosts: [a.b], resolution: STATIC, endpoints: [{network: other}]}",
            "spec.endpoints[0].address",
            "left out",
        ),
    ],
)
def test_warnings(spec: str, field: str, word: str) -> None:
    check_fault(text(spec), field, word, severity=Severity.WARNING)


def test_an_unknown_field_is_said() -> None:
    assert said(text("{hosts: [a.b], resolutoin: DNS}")) == [("warning", "spec.resolutoin")]


@pytest.mark.parametrize(
    "spec",
    [
        "{hosts: [a.b], resolution: DNS, ports: [{number: 90, name: x, protocol: TCP}]}",
        "{hosts: [a.b, c.d], addresses: [10.0.0.1], ports: [{number: 9, name: x, protocol: TLS}]}",
        "{hosts: [a.b, c.d], addresses: [10.0.0.1], ports: [{number: 9, name: x, protocol: TCP}]}",
    ],
)
def test_nothing_to_say(spec: str) -> None:
    assert said(text(spec)) == []
