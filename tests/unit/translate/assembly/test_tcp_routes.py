"""Connections that are routed as a whole: ``tcp`` by address, ``tls`` by the name asked for."""

from __future__ import annotations

import pytest

from meshproxy.model.listener import Application
from tests.unit.translate.assembly.test_outbound import cluster, goes, service
from tests.unit.translate.support import problems_of, snapshot_of

SERVICES = (
    service("a", "[{name: tls, port: 443}, {name: tcp, port: 5432}]")
    + service("b", "[{name: tls, port: 443}, {name: tcp, port: 5432}]", "10.96.0.2")
    + service("c", "[{name: tls, port: 443}, {name: tcp, port: 5432}]", "10.96.0.3")
)


def rule(spec: str, hosts: str = "a", name: str = "v", namespace: str = "default") -> str:
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{hosts: [{hosts}], {spec}}}\n"
    )


def to(*arms: str) -> str:
    listed = []
    for arm in arms:
        host, _, weight = arm.partition(":")
        listed.append(f"{{destination: {{host: {host}}}, weight: {weight or 0}}}")
    return f"route: [{', '.join(listed)}]"


A = "10.96.0.1"


def tls(matches: str, *arms: str) -> str:
    return f"tls: [{{match: [{matches}], {to(*arms)}}}]"


def test_tls_without_a_rule_goes_to_its_service_whatever_it_asks_for() -> None:
    made = snapshot_of(SERVICES)
    assert goes(made, 443, A, http=False, sni="any.example") == cluster("a", 443)
    (chain, *_) = made.listeners["virtualOutbound"].chains
    assert not chain.rules  # nobody has to wait for a name


def test_tls_is_routed_by_name() -> None:
    own = "a.default.svc.cluster.local"
    names = f"a.example, '*.wild.example', {own}"
    text = SERVICES + rule(
        "tls: ["
        f"{{match: [{{sniHosts: [a.example]}}, {{sniHosts: ['{own}']}}], {to('b')}}}, "
        f"{{match: [{{sniHosts: ['*.wild.example']}}], {to('c')}}}, "
        f"{{match: [{{sniHosts: [x.wild.example]}}], {to('a')}}}]",
        names,
    )
    made = snapshot_of(text)
    assert goes(made, 443, A, http=False, sni="a.example") == cluster("b", 443)
    assert goes(made, 443, A, http=False, sni=own) == cluster("b", 443)
    assert goes(made, 443, A, http=False, sni="y.wild.example") == cluster("c", 443)
    assert goes(made, 443, A, http=False, sni="x.wild.example") == cluster("a", 443)
    # What a rule does not name is nobody's (Istio), nor is what asks for nothing.
    assert goes(made, 443, A, http=False, sni="other.example") == "PassthroughCluster"
    assert goes(made, 443, A, http=False) == "PassthroughCluster"
    assert goes(made, 443, "10.96.0.3", http=False, sni="other.example") == cluster("c", 443)
    # It is a rule for TLS alone.
    assert goes(made, 5432, A, http=False) == cluster("a", 5432)
    assert not problems_of(text)


def test_weights_and_subsets_of_tls() -> None:
    made = snapshot_of(SERVICES, rule(tls("{sniHosts: [a]}", "b:1", "c:3", "a:0"), "a"))
    (chain, *_) = made.listeners["virtualOutbound"].chains
    (only,) = chain.rules
    assert [(arm.cluster, arm.weight) for arm in only.clusters] == [
        (cluster("b", 443), 1),
        (cluster("c", 443), 3),
    ]


@pytest.mark.parametrize(
    ("match", "applies"),
    [
        ("port: 443", True),
        ("port: 444", False),
        ("gateways: [mesh]", True),
        ("gateways: [g]", False),
        ("gateways: [mesh], sourceLabels: {app: you}", False),
        ("sourceLabels: {app: me}", True),
        ("sourceLabels: {app: you}", False),
        ("sourceNamespace: default", True),
        ("sourceNamespace: other", False),
        ("destinationSubnets: [10.96.0.0/16]", True),
        ("destinationSubnets: [10.97.0.0/16]", False),
    ],
)
def test_what_a_tls_match_asks(match: str, applies: bool) -> None:
    made = snapshot_of(SERVICES, rule(tls(f"{{sniHosts: [a], {match}}}", "b")))
    found = goes(made, 443, A, http=False, sni="a")
    left = "PassthroughCluster" if "Subnets" in match else cluster("a", 443)
    assert found == (cluster("b", 443) if applies else left)


def test_tls_of_services_that_share_an_address_is_told_apart_by_name() -> None:
    unknown = "".join(service(name, "[{name: https, port: 443}]", "") for name in "ab")
    text = unknown + service("web", "[{name: http, port: 443}]", "10.96.0.9")
    made = snapshot_of(text)
    for name in "ab":
        sni = f"{name}.default.svc.cluster.local"
        assert goes(made, 443, http=False, sni=sni) == cluster(name, 443)
    assert goes(made, 443, http=False, sni="c.example") == "PassthroughCluster"
    assert goes(made, 443, host="web") == cluster("web", 443)
    (chain, *_) = made.listeners["virtualOutbound"].chains
    assert chain.application is Application.DETECT
    assert not problems_of(text)


def tcp(*routes: str) -> str:
    return f"tcp: [{', '.join(routes)}]"


def test_tcp_routes_are_told_apart_by_subnet() -> None:
    headless = service("h", "[{name: tcp, port: 7000}]", "None")
    routes = tcp(
        f"{{match: [{{destinationSubnets: [10.1.0.0/16]}}], {to('b')}}}",
        f"{{match: [{{destinationSubnets: [10.1.2.0/24, 10.3.0.0/16]}}], {to('c')}}}",
    )
    slices = (
        "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: h}\n"
        "subsets: [{addresses: [{ip: 10.1.0.1}, {ip: 10.1.2.3}, {ip: 10.2.0.1}], "
        "ports: [{name: tcp, port: 7000}]}]\n"
    )
    made = snapshot_of(SERVICES, headless, slices, rule(routes, "h"))
    assert goes(made, 7000, "10.1.0.1", http=False) == cluster("b", 7000)
    assert goes(made, 7000, "10.1.2.3", http=False) == cluster("c", 7000)
    assert goes(made, 7000, "10.2.0.1", http=False) == cluster("h", 7000)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([f"{{{to('b')}}}", f"{{{to('c')}}}"], "b"),
        ([f"{{match: [{{port: 1}}], {to('b')}}}", f"{{{to('c')}}}"], "c"),
        ([f"{{match: [{{port: 1}}, {{port: 5432}}], {to('b')}}}"], "b"),
        ([f"{{match: [{{sourceLabels: {{app: you}}}}], {to('b')}}}"], "a"),
        ([f"{{match: [{{sourceLabels: {{app: me}}}}], {to('b')}}}"], "b"),
        ([f"{{match: [{{sourceNamespace: other}}], {to('b')}}}"], "a"),
        ([f"{{match: [{{gateways: [mesh, g]}}], {to('b')}}}"], "b"),
        ([f"{{match: [{{gateways: [g]}}], {to('b')}}}"], "a"),
        ([f"{{match: [{{destinationSubnets: [10.96.0.1]}}], {to('b')}}}", f"{{{to('c')}}}"], "b"),
        ([f"{{match: [{{destinationSubnets: [10.97.0.0/16]}}], {to('b')}}}"], "a"),
        (
            [
                f"{{match: [{{destinationSubnets: [10.97.0.0/16]}}, {{port: 5432}}], {to('b')}}}",
                f"{{{to('c')}}}",
            ],
            "b",
        ),
    ],
)
def test_tcp_routes(routes: list[str], expected: str) -> None:
    made = snapshot_of(SERVICES, rule(tcp(*routes)))
    assert goes(made, 5432, A, http=False) == cluster(expected, 5432)


def test_all_rules_that_name_the_service_are_asked_from_the_oldest_on() -> None:
    never = rule(tcp(f"{{match: [{{port: 1}}], {to('b')}}}"), "a", "a-first")
    wild = rule(tcp(f"{{{to('c')}}}"), "'*.default.svc.cluster.local'", "b-second")
    late = rule(tcp(f"{{{to('b')}}}"), "a", "c-third")
    assert goes(snapshot_of(SERVICES, late, wild, never), 5432, A, http=False) == cluster("c", 5432)


WILD = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild}
spec:
  hosts: ['*.wild.example']
  ports: [{number: 443, name: tls, protocol: TLS}, {number: 7000, name: tcp, protocol: TCP}]
"""


@pytest.mark.parametrize("host", ["api.wild.example", "'*.api.wild.example'", "'*.example'"])
def test_a_rule_for_some_of_a_wildcards_hosts_holds_for_it(host: str) -> None:
    spec = (
        f"tls: [{{match: [{{sniHosts: [{host}]}}], {to('b')}}}], "
        f"tcp: [{{match: [{{port: 7000}}], {to('c')}}}]"
    )
    made = snapshot_of(SERVICES, WILD, rule(spec, host))
    name = host.strip("'").replace("*", "x")
    assert goes(made, 443, http=False, sni=name) == cluster("b", 443)
    expected = cluster("b", 443) if host == "'*.example'" else "PassthroughCluster"
    assert goes(made, 443, http=False, sni="zz.wild.example") == expected
    assert goes(made, 7000, http=False) == cluster("c", 7000)


def test_a_rule_may_ask_for_subnets_that_are_not_its_services() -> None:
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: net}
spec:
  hosts: [net.example]
  addresses: [10.7.0.0/16]
  ports: [{number: 9000, name: tcp, protocol: TCP}]
"""
    spec = f"tcp: [{{match: [{{destinationSubnets: [10.9.0.0/16]}}], {to('a')}}}]"
    made = snapshot_of(SERVICES, entry, rule(spec, "net.example"))
    assert goes(made, 9000, "10.9.1.1", http=False) == cluster("a", 9000)
    assert goes(made, 9000, "10.7.1.1", http=False) == "outbound|9000||net.example"
    assert goes(made, 9000, "10.8.1.1", http=False) == "PassthroughCluster"


def test_subnets_tell_services_without_addresses_apart() -> None:
    def entry(name: str) -> str:
        return (
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
            f"metadata: {{name: {name}}}\nspec: {{hosts: [{name}.example], "
            "ports: [{number: 9000, name: tcp, protocol: TCP}]}\n"
        )

    def subnet(name: str, ip: str) -> str:
        spec = f"tcp: [{{match: [{{destinationSubnets: [{ip}]}}], {to(name)}}}]"
        return rule(spec, f"{name}.example", name).replace(f"host: {name}", f"host: {name}.example")

    made = snapshot_of(
        entry("x"), entry("y"), subnet("x", "10.8.0.0/16"), subnet("y", "10.9.0.0/16")
    )
    assert goes(made, 9000, "10.8.0.1", http=False) == "outbound|9000||x.example"
    assert goes(made, 9000, "10.9.0.1", http=False) == "outbound|9000||y.example"
