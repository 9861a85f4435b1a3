"""Chains of the captured outbound listener."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import ClusterKind, UpstreamHttp
from meshproxy.model.listener import Application
from meshproxy.model.snapshot import Snapshot
from tests.unit.translate.support import Call, follow, problems_of, snapshot_of


def service(name: str, ports: str, ip: str = "10.96.0.1", more: str = "") -> str:
    address = f"clusterIP: {ip}, " if ip else ""
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        f"spec: {{{address}{more}ports: {ports}}}\n"
    )


def cluster(name: str, port: int) -> str:
    return f"outbound|{port}||{name}.default.svc.cluster.local"


def goes(made: Snapshot, port: int, address: str = "192.0.2.1", **more: object) -> str:
    call = Call(port, address, **more)  # type: ignore[arg-type]
    return follow(made, "virtualOutbound", call).cluster


def test_http_services_share_a_port_and_host_tells_them_apart() -> None:
    made = snapshot_of(
        service("a", "[{name: http, port: 80}]"),
        service("b", "[{name: grpc, port: 80}]", "10.96.0.2"),
    )
    assert goes(made, 80, host="a") == cluster("a", 80)
    assert goes(made, 80, "10.96.0.1", host="b") == cluster("b", 80)
    assert goes(made, 80, host="10.96.0.2") == cluster("b", 80)
    assert goes(made, 80, host="example.com") == "PassthroughCluster"
    assert goes(made, 80, http=False) == "PassthroughCluster"
    assert made.clusters[cluster("a", 80)].http is UpstreamHttp.HTTP1
    assert made.clusters[cluster("b", 80)].http is UpstreamHttp.HTTP2
    (chain, _) = made.listeners["virtualOutbound"].chains
    assert (chain.name, chain.application, chain.port) == ("0.0.0.0_80", Application.HTTP, 80)


def test_tcp_services_are_told_apart_by_address() -> None:
    made = snapshot_of(
        service("a", "[{name: tcp, port: 5432}]"),
        service("b", "[{name: tls, port: 5432}]", "10.96.0.2"),
    )
    assert goes(made, 5432, "10.96.0.1", http=False) == cluster("a", 5432)
    assert goes(made, 5432, "10.96.0.2", http=False) == cluster("b", 5432)
    assert goes(made, 5432, "10.96.0.3", http=False) == "PassthroughCluster"
    assert "5432" not in made.route_configs


def test_http_and_tcp_on_one_port() -> None:
    made = snapshot_of(
        service("a", "[{name: http, port: 80}]"),
        service("b", "[{name: tcp, port: 80}]", "10.96.0.2"),
    )
    assert goes(made, 80, "10.96.0.2", host="a") == cluster("b", 80)
    assert goes(made, 80, "10.96.0.1", host="a") == cluster("a", 80)


def test_an_undeclared_port_belongs_to_its_address() -> None:
    made = snapshot_of(service("a", "[{name: x, port: 81}]"))
    assert goes(made, 81, "10.96.0.1", host="whatever.example") == cluster("a", 81)
    assert goes(made, 81, "10.96.0.1", http=False) == cluster("a", 81)
    assert goes(made, 81, "10.96.0.9", host="a") == "PassthroughCluster"
    chain = made.listeners["virtualOutbound"].chains[0]
    assert (chain.application, chain.ips, chain.route_config) == (
        Application.DETECT,
        ("10.96.0.1",),
        "a.default.svc.cluster.local:81",
    )
    assert made.clusters[cluster("a", 81)].http is UpstreamHttp.AS_DOWNSTREAM


def test_server_first_ports_are_not_looked_at() -> None:
    made = snapshot_of(service("a", "[{name: db, port: 3306}]"))
    assert made.listeners["virtualOutbound"].chains[0].application is Application.TCP


def test_services_whose_address_is_not_known() -> None:
    tcp = service("a", "[{name: tcp, port: 5432}]", "")
    made = snapshot_of(tcp)
    assert goes(made, 5432, "10.1.2.3", http=False) == cluster("a", 5432)
    both = snapshot_of(tcp, service("b", "[{name: http, port: 5432}]", ""))
    assert goes(both, 5432, "10.1.2.3", host="b") == cluster("b", 5432)
    assert goes(both, 5432, "10.1.2.3", http=False) == cluster("a", 5432)


def test_two_that_can_not_be_told_apart_are_said() -> None:
    texts = [service(name, "[{name: tcp, port: 5432}]", "") for name in ("a", "b")]
    (problem,) = problems_of(*texts)
    assert (problem.file, problem.field) == ("1.yaml", "spec.ports[0]")
    assert "a.default.svc.cluster.local" in problem.text


HEADLESS = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
ports: [{name: http, port: 80}, {name: tcp, port: 5432}, {name: x, port: 81}]
endpoints: [{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}]
"""


def test_headless_services_are_called_at_their_endpoints() -> None:
    ports = "[{name: http, port: 80}, {name: tcp, port: 5432}, {name: x, port: 81}]"
    made = snapshot_of(service("a", ports, "None"), HEADLESS)
    assert goes(made, 5432, "10.1.0.2", http=False) == cluster("a", 5432)
    assert goes(made, 5432, "10.1.0.3", http=False) == "PassthroughCluster"
    assert goes(made, 81, "10.1.0.1", host="anything") == cluster("a", 81)
    assert goes(made, 80, "10.1.0.1", host="a-0.a.default.svc.cluster.local") == cluster("a", 80)
    found = made.clusters[cluster("a", 5432)]
    assert found.kind is ClusterKind.ORIGINAL_DST
    assert len(found.endpoints) == 2


def test_a_headless_service_without_endpoints_has_no_chain() -> None:
    made = snapshot_of(service("a", "[{name: tcp, port: 5432}]", "None"))
    assert len(made.listeners["virtualOutbound"].chains) == 1


def tcp_rule(route: str) -> str:
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\n"
        f"spec: {{hosts: [a], tcp: [{route}]}}\n"
    )


TO_B = "route: [{destination: {host: b}, weight: 30}, {destination: {host: a}, weight: 70}]"


@pytest.mark.parametrize(
    ("match", "applies"),
    [
        ("", True),
        ("match: [{port: 5432}], ", True),
        ("match: [{port: 1}], ", False),
        ("match: [{destinationSubnets: [10.96.0.0/16]}], ", True),
        ("match: [{destinationSubnets: [10.97.0.0/16]}], ", False),
        ("match: [{gateways: [g]}], ", False),
        ("match: [{gateways: [mesh]}], ", True),
        ("match: [{sourceLabels: {app: you}}], ", False),
        ("match: [{sourceNamespace: default}], ", True),
        ("match: [{sourceNamespace: other}], ", False),
    ],
)
def test_tcp_rules(match: str, applies: bool) -> None:
    made = snapshot_of(
        service("a", "[{name: tcp, port: 5432}]"),
        service("b", "[{name: tcp, port: 6000}]", "10.96.0.2"),
        tcp_rule(f"{{{match}{TO_B}}}"),
    )
    call = Call(5432, "10.96.0.1", http=False)
    clusters = follow(made, "virtualOutbound", call).clusters
    ruled = {cluster("b", 6000): 30, cluster("a", 5432): 70}
    assert clusters == (ruled if applies else {cluster("a", 5432): 1})


def test_the_listener_can_be_turned_off_and_bound() -> None:
    assert "virtualOutbound" not in snapshot_of(outbound_port=0).listeners
    made = snapshot_of(outbound_port=16001, bind=("127.0.0.1", "::1"))
    listener = made.listeners["virtualOutbound"]
    assert (listener.port, listener.bind, listener.captured) == (16001, ("127.0.0.1", "::1"), True)


def test_a_captured_port_at_an_address_of_its_own() -> None:
    sidecar = (
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\nspec:\n"
        "  egress:\n  - {port: {number: 80, protocol: HTTP}, bind: 127.1.1.1, hosts: ['*/*']}\n"
    )
    made = snapshot_of(service("a", "[{name: http, port: 80}]"), sidecar)
    assert goes(made, 80, "127.1.1.1", host="a") == cluster("a", 80)
    assert goes(made, 80, "10.96.0.1", host="a") == "PassthroughCluster"


def test_an_alias_takes_no_port_from_others() -> None:
    made = snapshot_of(
        service("concrete", "[{name: tcp, port: 5432}, {name: http, port: 80}]", "10.96.0.5"),
        service(
            "alias",
            "[{name: tcp, port: 5432}, {name: http, port: 80}]",
            "",
            "type: ExternalName, externalName: concrete.default.svc.cluster.local, ",
        ),
    )
    assert goes(made, 5432, "10.96.9.9", http=False) == "PassthroughCluster"
    assert goes(made, 5432, "10.96.0.5", http=False) == cluster("concrete", 5432)
    assert goes(made, 80, host="alias") == cluster("concrete", 80)


@pytest.mark.parametrize(
    ("port", "call", "expected"),
    [
        ("http", {"host": "db"}, cluster("db", 5432)),
        ("http", {"host": "other.example"}, "PassthroughCluster"),
        ("odd", {"host": "db"}, cluster("db", 5432)),
        ("odd", {"http": False}, "PassthroughCluster"),
        ("tcp", {"http": False}, "PassthroughCluster"),
        ("tls", {"http": False, "tls": "tls", "sni": "db"}, "PassthroughCluster"),
    ],
)
def test_only_host_tells_that_a_name_outside_the_mesh_is_meant(
    port: str, call: dict[str, object], expected: str
) -> None:
    """Whatever else goes to that port is not taken for it: its address is anybody's."""
    outside = service(
        "db",
        f"[{{name: {port}, port: 5432}}]",
        "",
        "type: ExternalName, externalName: db.example.com, ",
    )
    assert goes(snapshot_of(outside), 5432, **call) == expected


def test_nobody_calls_himself_through_a_headless_service() -> None:
    endpoints = (
        "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: h}\n"
        "subsets: [{addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}], "
        "ports: [{name: tcp, port: 5000}]}]\n"
    )
    made = snapshot_of(service("h", "[{name: tcp, port: 5000}]", "None"), endpoints)
    assert goes(made, 5000, "10.0.0.2", http=False) == cluster("h", 5000)
    assert goes(made, 5000, "10.0.0.1", http=False) == "PassthroughCluster"


def test_what_is_not_http_goes_to_the_first_undeclared_port_before_any_of_http() -> None:
    def entry(name: str, protocol: str) -> str:
        return (
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
            f"metadata: {{name: {name}}}\nspec: {{hosts: [{name}.example], "
            f"ports: [{{number: 9000, name: x{protocol}}}]}}\n"
        )

    undeclared = entry("b", "")
    assert goes(snapshot_of(undeclared), 9000, http=False) == "outbound|9000||b.example"
    for name, expected in (("a", "PassthroughCluster"), ("c", "outbound|9000||b.example")):
        http = entry(name, ", protocol: HTTP")
        made = snapshot_of(undeclared, http)
        assert goes(made, 9000, http=False) == expected
        assert goes(made, 9000, host="b.example") == "outbound|9000||b.example"
        assert goes(made, 9000, host=f"{name}.example") == f"outbound|9000||{name}.example"


def test_an_undeclared_port_of_a_subnet_is_http_by_host_and_tcp_by_address() -> None:
    entry = (
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
        "spec: {hosts: [a.example], addresses: [10.7.0.0/16], ports: [{number: 9000, name: x}]}\n"
    )
    rule = (
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\n"
        "spec: {hosts: [a.example], "
        "http: [{route: [{destination: {host: b, port: {number: 80}}}]}]}\n"
    )
    made = snapshot_of(entry, rule, service("b", "[{name: http, port: 80}]"))
    assert goes(made, 9000, "10.7.1.1", host="a.example") == "outbound|9000||a.example"
    assert goes(made, 9000, "10.7.1.1", http=False) == "outbound|9000||a.example"
    assert goes(made, 9000, "10.8.1.1", host="a.example") == cluster("b", 80)
    assert goes(made, 9000, "10.8.1.1", http=False) == "PassthroughCluster"


# Ports that a Sidecar opens for captured traffic.

WEB, DB, AUTO, OTHER = "10.96.0.7", "10.96.0.8", "10.96.0.9", "10.96.1.8"
MANY = (
    service("web", "[{name: http, port: 9080}]", WEB)
    + service("db", "[{name: tcp, port: 9080}]", DB)
    + service("auto", "[{name: x, port: 9080}]", AUTO)
    + service("otherdb", "[{name: tcp, port: 9080}]", OTHER).replace(
        "{name: otherdb}", "{name: otherdb, namespace: other}"
    )
)


def sidecar(*egress: str) -> str:
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\n"
        f"spec: {{egress: [{', '.join(egress)}]}}\n"
    )


ON_HTTP = "{port: {number: 9080, protocol: HTTP, name: x}, hosts: ['./*']}"
ON_TCP = ON_HTTP.replace("HTTP", "TCP")
PASSED = "PassthroughCluster"


@pytest.mark.parametrize(
    ("egress", "address", "host", "expected"),
    [
        (ON_HTTP, DB, "", PASSED),
        (ON_HTTP, AUTO, "", PASSED),
        (ON_HTTP, DB, "web", cluster("web", 9080)),
        (ON_HTTP, WEB, "auto", cluster("auto", 9080)),
        (ON_TCP, WEB, "", cluster("web", 9080)),
        (ON_TCP, DB, "web", cluster("db", 9080)),
        (ON_TCP, AUTO, "", cluster("auto", 9080)),
    ],
)
def test_a_sidecars_port_says_what_it_carries(
    egress: str, address: str, host: str, expected: str
) -> None:
    made = snapshot_of(MANY, sidecar(egress))
    assert goes(made, 9080, address, http=bool(host), host=host) == expected


@pytest.mark.parametrize(
    ("first", "address", "expected"),
    [
        ("web", DB, cluster("db", 9080)),
        ("web", OTHER, "outbound|9080||otherdb.other.svc.cluster.local"),
        ("web", AUTO, cluster("auto", 9080)),
        ("db", DB, PASSED),
    ],
)
def test_a_port_leaves_the_addresses_that_it_does_not_take_to_later_ones(
    first: str, address: str, expected: str
) -> None:
    own = ON_HTTP.replace("./*", f"./{first}.default.svc.cluster.local")
    made = snapshot_of(MANY, sidecar(own, "{hosts: ['*/*']}"))
    if first == "db":  # it is HTTP for the Sidecar: nobody is called by its name
        assert goes(made, 9080, host="db") == PASSED
        return
    assert goes(made, 9080, address, http=False) == expected
    assert goes(made, 9080, host="web") == cluster("web", 9080)


def test_a_port_has_subnets_where_it_has_all_addresses() -> None:
    web = ON_HTTP.replace("./*", "./web.default.svc.cluster.local")
    net = entry("net.example", "TCP", "10.7.0.0/16", "10.8.0.1").replace("443", "9080")
    made = snapshot_of(MANY, net, sidecar(web, "{hosts: ['*/*']}"))
    assert goes(made, 9080, "10.7.0.1", http=False) == PASSED
    assert goes(made, 9080, "10.8.0.1", http=False) == "outbound|9080||net.example"


def test_a_subnet_keeps_its_port_from_later_ones() -> None:
    net = entry("net.example", "TCP", "10.7.0.0/16").replace("443", "9080")
    tcp = ON_TCP.replace("./*", "./net.example")
    made = snapshot_of(MANY, net, sidecar(tcp, "{hosts: ['*/*']}"))
    assert goes(made, 9080, "10.7.0.1", http=False) == "outbound|9080||net.example"
    assert goes(made, 9080, host="web") == PASSED
    assert goes(made, 9080, DB, http=False) == cluster("db", 9080)


def test_a_tcp_port_with_an_address_is_called_there() -> None:
    own = ON_TCP.replace("{port", "{bind: 10.96.9.9, port").replace(
        "./*", "./db.default.svc.cluster.local"
    )
    made = snapshot_of(MANY, sidecar(own))
    assert goes(made, 9080, "10.96.9.9", http=False) == cluster("db", 9080)
    assert goes(made, 9080, DB, http=False) == PASSED


def test_a_port_of_a_sidecar_is_a_headless_services_at_every_address() -> None:
    headless = service("db", "[{name: tcp, port: 9080}]", "None")
    assert goes(snapshot_of(headless), 9080, http=False) == PASSED
    made = snapshot_of(headless, sidecar(ON_TCP))
    assert goes(made, 9080, http=False) == cluster("db", 9080)


# Services that share an address.


def entry(host: str, protocol: str, *addresses: str) -> str:
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
        f"metadata: {{name: {host}}}\nspec: {{hosts: [{host}], addresses: "
        f"[{', '.join(addresses)}], ports: [{{number: 443, name: x, protocol: {protocol}}}]}}\n"
    )


@pytest.mark.parametrize(
    ("entries", "address", "name", "expected"),
    [
        pytest.param(
            entry("a.example", "TLS", "10.7.0.0/16", "10.8.0.1"),
            "10.8.0.1",
            "b.example",
            "outbound|443||a.example",
            id="an address of its own needs no name",
        ),
        pytest.param(
            entry("a.example", "TLS", "10.7.0.0/16", "10.8.0.1"),
            "10.7.0.1",
            "b.example",
            "PassthroughCluster",
            id="a subnet does",
        ),
        pytest.param(
            entry("a.example", "TLS", "10.7.0.0/16") + entry("b.example", "TLS", "10.7.0.0/16"),
            "10.7.0.1",
            "b.example",
            "outbound|443||b.example",
            id="two names in one subnet",
        ),
        pytest.param(
            entry("a.example", "TLS", "10.7.0.0/16") + entry("b.example", "TCP", "10.7.0.0/16"),
            "10.7.0.1",
            "c.example",
            "outbound|443||b.example",
            id="what has no name in it goes to the one that is TCP",
        ),
        pytest.param(
            entry("a.example", "TCP", "10.7.0.0/16") + entry("b.example", "TCP", "10.7.0.0/16"),
            "10.7.0.1",
            "b.example",
            "outbound|443||a.example",
            id="of two that are TCP the first counts",
        ),
    ],
)
def test_who_is_meant_at_a_shared_address(
    entries: str, address: str, name: str, expected: str
) -> None:
    made = snapshot_of(entries)
    assert goes(made, 443, address, http=False, tls="tls", sni=name) == expected
