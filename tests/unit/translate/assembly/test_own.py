"""Which workload a sidecar stands beside."""

from __future__ import annotations

from meshproxy.translate import Translation
from tests.unit.translate.support import ME, translated

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: ns, labels: {app: p}}
status: {podIP: 10.0.0.7}
"""
PLAIN = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s, namespace: lap}
spec:
  workloadSelector: {labels: {app: top}}
  egress: [{port: {number: 8000, protocol: HTTP}, captureMode: NONE, hosts: ["./*"]}]
"""

SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: x, namespace: ns, labels: {kubernetes.io/service-name: svc}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.7], targetRef: {kind: Pod, name: pod-0}}]
"""


def here(*texts: str, host: str = "10.0.0.7") -> Translation:
    return translated(*texts, me="", host_addresses=frozenset({"192.168.0.1", host}))


def name(found: Translation) -> tuple[str, str]:
    assert found.snapshot is not None, [str(each) for each in found.errors]
    return found.snapshot.workload.namespace, found.snapshot.workload.name


def test_who_it_is_and_how_that_is_known() -> None:
    """A phrase for the log, which a move inside the file does not change."""
    assert (
        translated(ME, me="default/me").who
        == "WorkloadEntry default/me, named by --workload or POD_NAME"
    )
    assert translated(ME, me="ns/unknown").who == "ns/unknown, named by --workload or POD_NAME"
    assert here(ME, POD).who == "Pod ns/p, which has this host's address 10.0.0.7"
    assert here("---\n" + POD, ME).who == here(ME, POD).who
    assert here(PLAIN).who == "a workload of lap, as Sidecar lap/s has plain ports"
    assert here(SLICE).who == "ns/pod-0, as EndpointSlice ns/x has this host's address 10.0.0.7"


def test_by_name() -> None:
    assert name(translated(ME, POD, me="ns/p")) == ("ns", "p")
    assert name(translated(ME, POD, me="default/me")) == ("default", "me")


def test_by_address() -> None:
    assert name(here(ME, POD)) == ("ns", "p")
    assert name(here(ME, POD, host="10.0.0.1")) == ("default", "me")


def test_a_name_nobody_has_is_taken_at_its_word() -> None:
    found = translated(ME, me="ns/unknown")
    assert name(found) == ("ns", "unknown")
    assert any("ns/unknown" in each.text for each in found.problems)


def test_nobody_here() -> None:
    found = here(ME, POD, host="10.9.9.9")
    assert found.snapshot is None
    (problem,) = found.errors
    assert "default/me" in problem.text
    assert "--workload" in problem.mend


def test_several_here() -> None:
    twin = POD.replace("name: p,", "name: q,")
    found = here(POD, twin)
    (problem,) = found.errors
    assert "ns/p, ns/q" in problem.text or "ns/q, ns/p" in problem.text
    assert "--workload" in problem.mend


def test_an_endpoint_here() -> None:
    assert name(here(SLICE)) == ("ns", "pod-0")
    assert name(here(SLICE.replace(", targetRef: {kind: Pod, name: pod-0}", ""))) == ("ns", "svc")


def test_plain_ports_need_no_address() -> None:
    found = here(PLAIN)
    assert found.snapshot is not None
    assert found.snapshot.workload.namespace == "lap"
    assert found.snapshot.workload.labels == (("app", "top"),)
    assert "127.0.0.1_8000" in found.snapshot.listeners
    assert here(PLAIN, PLAIN.replace("name: s,", "name: t,")).errors
