"""ServiceEntries as services of the mesh: clusters, hosts, chains, and who may see them."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import Cluster, ClusterKind
from meshproxy.model.snapshot import Snapshot
from tests.unit.translate.support import Call, follow, one_problem, problems_of, snapshot_of


def entry(spec: str, name: str = "ext", namespace: str = "default", created: str = "") -> str:
    when = f", creationTimestamp: {created}" if created else ""
    return (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
        f"metadata: {{name: {name}, namespace: {namespace}{when}}}\nspec: {{{spec}}}\n"
    )


HTTP = "ports: [{number: 80, name: http, protocol: HTTP}]"
TCP = "ports: [{number: 9000, name: tcp, protocol: TCP}]"
API = f"hosts: [api.example.com], {HTTP}"
REGISTRY_ONLY = "kind: MeshConfig\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"
ENTRY = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm}
spec: {address: 10.2.0.1, labels: {app: vm, version: v2}, ports: {http: 5000}, weight: 7}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: pod, labels: {app: vm, version: v1}}
status: {podIP: 10.1.0.1}
"""


def cluster(*texts: str, name: str = "outbound|80||api.example.com") -> Cluster:
    return snapshot_of(*texts).clusters[name]


def endpoints(found: Cluster) -> list[tuple[str, str, int]]:
    return [(str(each.address), each.name, each.weight) for each in found.endpoints]


def go(snapshot: Snapshot, **call: object) -> str:
    facts: dict[str, object] = {"port": 80, "host": "api.example.com", **call}
    return follow(snapshot, "virtualOutbound", Call(**facts)).cluster  # type: ignore[arg-type]


# Endpoints by resolution.


def test_none_goes_where_the_connection_was_going() -> None:
    found = cluster(entry(API))
    assert (found.kind, found.endpoints) == (ClusterKind.ORIGINAL_DST, ())


def test_static_endpoints() -> None:
    found = cluster(
        entry(
            f"{API}, resolution: STATIC, endpoints: [{{address: 10.0.0.8, ports: {{http: 8080}}}},"
            " {address: 10.0.0.9, weight: 3}]"
        )
    )
    assert found.kind is ClusterKind.STATIC
    assert endpoints(found) == [("10.0.0.8:8080", "", 1), ("10.0.0.9:80", "", 3)]


@pytest.mark.parametrize(
    ("resolution", "kind"),
    [("DNS", ClusterKind.STRICT_DNS), ("DNS_ROUND_ROBIN", ClusterKind.LOGICAL_DNS)],
)
def test_dns_of_the_host_itself(resolution: str, kind: ClusterKind) -> None:
    ports = "ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]"
    found = cluster(entry(f"hosts: [api.example.com], {ports}, resolution: {resolution}"))
    assert found.kind is kind
    assert found.names == ("api.example.com",)
    assert endpoints(found) == [(":8080", "api.example.com", 1)]


def test_dns_of_endpoints() -> None:
    found = cluster(
        entry(f"{API}, resolution: DNS, endpoints: [{{address: a.x}}, {{address: 10.0.0.1}}]")
    )
    assert found.kind is ClusterKind.STRICT_DNS
    assert endpoints(found) == [(":80", "a.x", 1), ("10.0.0.1:80", "", 1)]


def test_dynamic_dns_is_refused_with_a_reason() -> None:
    text = entry(f"hosts: ['*.example.com'], {HTTP}, resolution: DYNAMIC_DNS")
    found = cluster(text, name="outbound|80||*.example.com")
    assert "DYNAMIC_DNS" in found.refusal


def test_a_selector_takes_workload_entries_and_pods() -> None:
    text = entry(f"{API}, resolution: STATIC, workloadSelector: {{labels: {{app: vm}}}}")
    found = cluster(text, ENTRY, POD)
    assert endpoints(found) == [("10.1.0.1:80", "", 1), ("10.2.0.1:5000", "", 7)]
    assert [each.workload.name for each in found.endpoints] == ["pod", "vm"]
    by_name = cluster(text, ENTRY.replace("10.2.0.1", "vm.local"))
    assert by_name.kind is ClusterKind.STRICT_DNS
    other = cluster(entry(f"{API}, workloadSelector: {{labels: {{app: x}}}}, resolution: STATIC"))
    assert endpoints(other) == []


def test_endpoints_are_known_by_their_labels() -> None:
    text = entry(
        f"{API}, resolution: STATIC, endpoints:"
        " [{address: 10.0.0.1, labels: {app: pay, version: v3}}, {address: 10.0.0.2}]"
    )
    first, second = (each.workload for each in cluster(text).endpoints)
    assert (first.name, first.app, first.version, first.canonical_name) == (
        "unknown",
        "pay",
        "v3",
        "pay",
    )
    assert (second.name, second.namespace, second.labels) == ("unknown", "unknown", ())


def test_metrics_name_the_host_and_the_namespace_of_the_entry() -> None:
    found = snapshot_of(entry(API, namespace="egress")).clusters["outbound|80||api.example.com"]
    service = found.service
    assert (service.host, service.name, service.namespace) == (
        "api.example.com",
        "api.example.com",
        "egress",
    )


# Rules of others hold for them.


def test_rules_and_subsets() -> None:
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api}
spec:
  host: api.example.com
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets: [{name: v3, labels: {version: v3}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api}
spec:
  hosts: [api.example.com]
  http: [{route: [{destination: {host: api.example.com, subset: v3}}]}]
"""
    text = entry(
        f"{API}, resolution: DNS,"
        " endpoints: [{address: a.x, labels: {version: v3}}, {address: b.x}]"
    )
    snapshot = snapshot_of(text, rule)
    assert go(snapshot) == "outbound|80|v3|api.example.com"
    subset = snapshot.clusters["outbound|80|v3|api.example.com"]
    assert (subset.names, subset.balance.value) == (("a.x",), "RANDOM")
    assert not problems_of(text, rule)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.example.com", "outbound|80||api.example.com"),
        ("other.example.com", "outbound|80||*.example.com"),
        ("a.b.example.com", "outbound|80||*.example.com"),
        ("example.com", "block_all"),
        ("10.7.7.7", "outbound|80||api.example.com"),
    ],
)
def test_only_what_is_listed_may_be_called(host: str, expected: str) -> None:
    snapshot = snapshot_of(
        REGISTRY_ONLY,
        entry(f"{API}, addresses: [10.7.7.7, 10.8.0.0/16]"),
        entry(f"hosts: ['*.example.com'], {HTTP}", name="wild"),
    )
    assert go(snapshot, host=host) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.5.5.5", "outbound|9000||one.example"),
        ("10.5.5.6", "outbound|9000||narrow.example"),
        ("10.6.0.1", "outbound|9000||wide.example"),
        ("11.0.0.1", "BlackHoleCluster"),
    ],
)
def test_connections_are_told_apart_by_address(address: str, expected: str) -> None:
    snapshot = snapshot_of(
        REGISTRY_ONLY,
        entry(f"hosts: [wide.example], {TCP}, addresses: [10.0.0.0/8]", name="a"),
        entry(f"hosts: [narrow.example], {TCP}, addresses: [10.5.0.0/16]", name="b"),
        entry(f"hosts: [one.example], {TCP}, addresses: [10.5.5.5]", name="c"),
    )
    assert go(snapshot, port=9000, address=address, http=False) == expected


@pytest.mark.parametrize(
    ("address", "sni", "expected"),
    [
        ("192.0.2.1", "api.example.com", "outbound|443||api.example.com"),
        ("192.0.2.1", "a.example.net", "outbound|443||*.example.net"),
        ("192.0.2.1", "other.example", "BlackHoleCluster"),
        ("10.7.7.7", "whatever.example", "outbound|443||vip.example"),
        ("10.5.0.1", "net.example", "outbound|443||net.example"),
        ("10.5.0.1", "api.example.com", "BlackHoleCluster"),
    ],
)
def test_tls_is_told_apart_by_name_where_addresses_do_not(
    address: str, sni: str, expected: str
) -> None:
    tls = "ports: [{number: 443, name: tls, protocol: TLS}]"
    snapshot = snapshot_of(
        REGISTRY_ONLY,
        entry(f"hosts: [api.example.com, '*.example.net'], {tls}", "a"),
        entry(f"hosts: [vip.example], {tls}, addresses: [10.7.7.7]", "b"),
        entry(f"hosts: [net.example], {tls}, addresses: [10.5.0.0/16]", "c"),
    )
    assert go(snapshot, port=443, address=address, sni=sni, http=False) == expected


def test_scoping_by_sidecar_and_by_export() -> None:
    sidecar = (
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\n"
        "spec: {egress: [{hosts: ['./api.example.com']}]}\n"
    )
    both = (entry(API), entry(f"hosts: [x.example.com], {HTTP}", name="x"))
    clusters = snapshot_of(*both, sidecar).clusters
    assert "outbound|80||api.example.com" in clusters
    assert "outbound|80||x.example.com" not in clusters
    for export, seen in (("['.']", False), ("['~']", False), ("[default]", True), ("['*']", True)):
        text = entry(f"{API}, exportTo: {export}", namespace="other")
        assert ("outbound|80||api.example.com" in snapshot_of(text).clusters) == seen, export


# Several for one host.


def test_entries_of_one_namespace_for_one_host_are_put_together() -> None:
    first = entry(f"{API}, resolution: STATIC, endpoints: [{{address: 10.0.0.1}}]", name="a")
    second = entry(
        "hosts: [api.example.com], resolution: DNS,"
        " ports: [{number: 443, name: tls, protocol: TLS}]",
        name="b",
    )
    third = entry(f"{API}, resolution: STATIC, endpoints: [{{address: 10.0.0.2}}]", name="c")
    clusters = snapshot_of(first, second, third).clusters
    assert endpoints(clusters["outbound|80||api.example.com"]) == [
        ("10.0.0.1:80", "", 1),
        ("10.0.0.2:80", "", 1),
    ]
    assert clusters["outbound|443||api.example.com"].kind is ClusterKind.STRICT_DNS
    assert not problems_of(first, second, third)


def test_of_other_namespaces_the_oldest_counts_and_the_rest_is_said() -> None:
    old = entry(f"{API}, resolution: DNS", "z", "one", "2020-01-01T00:00:00Z")
    new = entry(API, "a", "two", "2024-01-01T00:00:00Z")
    assert cluster(new, old).kind is ClusterKind.STRICT_DNS
    problem = one_problem(new, old)
    assert (problem.field, problem.subject) == ("spec.hosts", "ServiceEntry two/a")
    assert "ServiceEntry one/z" in problem.text


def test_what_can_not_be_seen_takes_no_host() -> None:
    hidden = entry(f"{API}, resolution: DNS, exportTo: ['.']", "a", "one", "2020-01-01T00:00:00Z")
    assert cluster(hidden, entry(API)).kind is ClusterKind.ORIGINAL_DST
    assert not problems_of(hidden, entry(API))


def test_a_service_keeps_its_host_and_takes_endpoints_of_its_namespace() -> None:
    service = """
apiVersion: v1
kind: Service
metadata: {name: shop, creationTimestamp: 2024-01-01T00:00:00Z}
spec: {clusterIP: 10.96.0.1, selector: {app: vm}, ports: [{name: http, port: 80}]}
"""
    host = "shop.default.svc.cluster.local"
    vm = f"hosts: [{host}], {HTTP}, resolution: STATIC, endpoints: [{{address: 10.9.9.9}}]"
    early = {"created": "2020-01-01T00:00:00Z"}
    found = cluster(service, POD, entry(vm, **early), name=f"outbound|80||{host}")
    assert found.service.name == "shop"
    assert endpoints(found) == [("10.1.0.1:80", "", 1), ("10.9.9.9:80", "", 1)]
    foreign = entry(vm, namespace="other", **early)
    found = cluster(service, POD, foreign, name=f"outbound|80||{host}")
    assert endpoints(found) == [("10.1.0.1:80", "", 1)]


def test_two_protocols_for_one_port_are_said() -> None:
    other = entry("hosts: [api.example.com], ports: [{number: 80, name: x, protocol: TLS}]", "z")
    problem = one_problem(entry(API), other)
    assert (problem.subject, problem.code) == ("ServiceEntry default/z", "IST0177")


# ExternalName.


def external(name: str, target: str) -> str:
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        f"spec: {{type: ExternalName, externalName: {target},"
        " ports: [{name: http, port: 80}]}\n"
    )


def test_an_external_name_that_nobody_declares_is_asked_of_dns() -> None:
    snapshot = snapshot_of(REGISTRY_ONLY, external("db", "DB.example.com."))
    name = "outbound|80||db.default.svc.cluster.local"
    assert snapshot.clusters[name].kind is ClusterKind.STRICT_DNS
    assert endpoints(snapshot.clusters[name]) == [(":80", "db.example.com", 1)]
    assert go(snapshot, host="db") == name


def test_an_external_name_of_a_service_entry_means_it() -> None:
    snapshot = snapshot_of(entry(f"{API}, resolution: DNS"), external("db", "api.example.com"))
    assert go(snapshot, host="db") == "outbound|80||api.example.com"
    assert "outbound|80||db.default.svc.cluster.local" not in snapshot.clusters


def test_external_names_of_external_names() -> None:
    chain = external("a", "b.default.svc.cluster.local") + "---\n" + external("b", "x.example")
    clusters = snapshot_of(chain).clusters
    for name in ("a", "b"):
        found = clusters[f"outbound|80||{name}.default.svc.cluster.local"]
        assert found.names == ("x.example",)
    ring = external("a", "b.default.svc.cluster.local") + "---\n"
    ring += external("b", "a.default.svc.cluster.local")
    assert not [name for name in snapshot_of(ring).clusters if name.startswith("outbound")]


# The workload itself.


def test_an_entry_may_be_about_this_workload() -> None:
    text = entry(
        "hosts: [me.example], location: MESH_INTERNAL, resolution: STATIC,"
        f" endpoints: [{{address: 10.0.0.1, ports: {{http: 8080}}}}], {HTTP}"
    )
    snapshot = snapshot_of(text)
    assert snapshot.clusters["inbound|8080||"].service.host == "me.example"


def test_the_mesh_says_how_often_names_are_looked_up() -> None:
    assert snapshot_of("kind: MeshConfig\ndnsRefreshRate: 7s\n").settings.dns_refresh_rate == 7.0
    assert snapshot_of().settings.dns_refresh_rate == 60.0


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("resolution: DNS", "ServiceEntry"),
        ("resolution: STATIC, endpoints: [{address: 10.9.0.1}]", "ServiceEntry"),
        ("resolution: STATIC, endpoints: [{address: 10.9.0.1, labels: {a: b}}]", "ServiceEntry"),
        ("resolution: STATIC, workloadSelector: {labels: {app: vm}}", "WorkloadEntry"),
    ],
)
def test_its_endpoints_tell_which_document_they_came_from(spec: str, kind: str) -> None:
    found = cluster(entry(f"{API}, {spec}"), ENTRY).endpoints
    assert [each.origin.kind for each in found] == [kind]
