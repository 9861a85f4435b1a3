"""Who answers for a service."""

from __future__ import annotations

import pickle

import pytest

from meshproxy.base.addr import ServerAddr
from meshproxy.model.cluster import ClusterKind
from tests.unit.translate.support import snapshot_of

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: a}
spec:
  clusterIP: 10.96.0.1
  selector: {app: a}
  ports:
  - {name: http, port: 80, targetPort: web}
  - {name: grpc, port: 81, targetPort: 9081}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: a-1, labels: {app: a, version: v1}}
spec: {containers: [{ports: [{name: web, containerPort: 8080}]}]}
status: {podIP: 10.1.0.1, conditions: [{type: Ready, status: "True"}]}
"""
UNREADY = POD.replace("a-1", "a-2").replace("10.1.0.1", "10.1.0.2").replace('"True"', '"False"')
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a-x, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
ports: [{name: http, port: 7000}]
endpoints:
- {addresses: [10.1.0.1, 10.1.0.9], targetRef: {kind: Pod, name: a-1}}
- {addresses: [10.1.0.8], conditions: {ready: false}}
- {addresses: [10.1.0.1]}
"""
ENDPOINTS = """
apiVersion: v1
kind: Endpoints
metadata: {name: a}
subsets: [{addresses: [{ip: 10.3.0.1}], ports: [{name: http, port: 6000}]}]
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm}
spec: {address: 10.2.0.1, labels: {app: a, version: v2}, ports: {web: 5000}, weight: 7}
"""


def found(*texts: str, port: int = 80) -> dict[str, tuple[int, str, int]]:
    """Addresses with their port, their workload's version and their weight."""
    cluster = snapshot_of(*texts).clusters[f"outbound|{port}||a.default.svc.cluster.local"]
    return {
        endpoint.address.ip: (endpoint.address.port, endpoint.workload.version, endpoint.weight)
        for endpoint in cluster.endpoints
    }


def test_pods_by_selector() -> None:
    assert found(SERVICE, POD, UNREADY) == {"10.1.0.1": (8080, "v1", 1)}
    assert found(SERVICE, POD, port=81) == {"10.1.0.1": (9081, "v1", 1)}


def test_a_pod_without_the_named_port_is_no_endpoint() -> None:
    assert found(SERVICE, POD.replace("name: web", "name: other")) == {}


def test_a_pod_with_two_addresses_counts_once() -> None:
    both = POD.replace("podIP: 10.1.0.1,", "podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}],")
    assert set(found(SERVICE, both)) == {"10.1.0.1"}
    v6 = SERVICE.replace("clusterIP: 10.96.0.1", "clusterIPs: ['fd00::a', 10.96.0.1]")
    assert set(found(v6, both)) == {"fd00::1"}
    headless = SERVICE.replace("clusterIP: 10.96.0.1", "clusterIP: None")
    assert set(found(headless, both)) == {"10.1.0.1", "fd00::1"}


def test_a_pod_in_its_nodes_network_is_an_endpoint_too() -> None:
    assert set(found(SERVICE, POD.replace("spec: {", "spec: {hostNetwork: true, "))) == {"10.1.0.1"}


def test_slices_come_before_endpoints_and_pods() -> None:
    assert found(SERVICE, POD, SLICE, ENDPOINTS) == {
        "10.1.0.1": (7000, "v1", 1),
        "10.1.0.9": (7000, "v1", 1),
    }
    assert found(SERVICE, POD, SLICE, port=81) == {}
    assert found(SERVICE, POD, ENDPOINTS) == {"10.3.0.1": (6000, "unknown", 1)}


def test_entries_are_added_to_all_of_them() -> None:
    assert found(SERVICE, SLICE, ENTRY)["10.2.0.1"] == (5000, "v2", 7)
    assert found(SERVICE, ENTRY, port=81) == {"10.2.0.1": (9081, "v2", 7)}


@pytest.mark.parametrize(
    ("ports", "expected"),
    [("{http: 1}", {"10.2.0.1": 1}), ("{web: 2}", {"10.2.0.1": 2}), ("{grpc: 3}", {})],
)
def test_ports_of_entries(ports: str, expected: dict[str, int]) -> None:
    entry = ENTRY.replace("{web: 5000}", ports)
    assert {ip: port for ip, (port, _, _) in found(SERVICE, entry).items()} == expected


def test_an_entry_with_a_host_name_is_an_endpoint_by_name() -> None:
    entry = ENTRY.replace("10.2.0.1", "VM.example.com")
    cluster = snapshot_of(SERVICE, entry).clusters["outbound|80||a.default.svc.cluster.local"]
    assert cluster.kind is ClusterKind.STRICT_DNS
    (endpoint,) = cluster.endpoints
    assert (endpoint.name, endpoint.address) == ("vm.example.com", ServerAddr("", 5000))
    assert (endpoint.weight, endpoint.workload.version) == (7, "v2")


def test_without_a_selector_there_are_only_given_endpoints() -> None:
    bare = SERVICE.replace("  selector: {app: a}\n", "")
    assert found(bare, POD, ENTRY) == {}
    assert found(bare, POD, ENDPOINTS) == {"10.3.0.1": (6000, "unknown", 1)}


def test_other_namespaces_are_others() -> None:
    elsewhere = POD.replace("name: a-1,", "name: a-1, namespace: other,")
    assert found(SERVICE, elsewhere) == {}


def test_not_ready_ones_too_if_the_service_says_so() -> None:
    eager = SERVICE.replace("  ports:", "  publishNotReadyAddresses: true\n  ports:")
    assert set(found(eager, POD, UNREADY)) == {"10.1.0.1", "10.1.0.2"}
    assert "10.1.0.8" in found(eager, SLICE)


RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec: {host: a}
"""


@pytest.mark.parametrize(
    ("text", "source"),
    [
        pytest.param(POD, "1.yaml:2 (Pod default/a-1)", id="a pod"),
        pytest.param(ENTRY, "1.yaml:2 (WorkloadEntry default/vm)", id="an entry"),
        pytest.param(
            SLICE + "---" + POD,
            "1.yaml:2 (EndpointSlice default/a-x)",
            id="a slice, whoever is known to be there",
        ),
        pytest.param(ENDPOINTS, "1.yaml:2 (Endpoints default/a)", id="an Endpoints object"),
    ],
)
def test_each_tells_which_document_it_came_from(text: str, source: str) -> None:
    """Whatever document its cluster came from. Workers do without."""
    cluster = snapshot_of(text, SERVICE, RULE).clusters["outbound|80||a.default.svc.cluster.local"]
    assert cluster.origin.kind == "DestinationRule"
    assert {str(endpoint.origin) for endpoint in cluster.endpoints} == {source}
    for sent in pickle.loads(pickle.dumps(cluster)).endpoints:
        assert str(sent.origin) == "built-in:0"
        assert sent in cluster.endpoints
