"""Who is at an address."""

from __future__ import annotations

import pytest

from meshproxy.model.workload import Workload
from tests.unit.translate.support import snapshot_of


def peer(labels: str, **more: str) -> Workload:
    pod = (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p, labels: {labels}}}\n"
        f"spec: {more.get('spec', '{}')}\nstatus: {{podIP: 10.1.0.1}}\n"
    )
    return snapshot_of(pod).peers["10.1.0.1"]


@pytest.mark.parametrize(
    ("labels", "name", "revision"),
    [
        ("{}", "p", "latest"),
        ("{app: a}", "a", "latest"),
        ("{app: a, app.kubernetes.io/name: b}", "b", "latest"),
        ("{app: a, service.istio.io/canonical-name: c}", "c", "latest"),
        ("{version: v1}", "p", "v1"),
        ("{version: v1, app.kubernetes.io/version: v2}", "p", "v2"),
        ("{version: v1, service.istio.io/canonical-revision: v3}", "p", "v3"),
    ],
)
def test_canonical_names(labels: str, name: str, revision: str) -> None:
    found = peer(labels)
    assert (found.canonical_name, found.canonical_revision) == (name, revision)


def test_the_rest_of_a_pod() -> None:
    assert peer("{app: a, version: v1}", spec="{serviceAccountName: sa}") == Workload(
        "p", "default", "a", "v1", "a", "v1", "sa", "Kubernetes", (("app", "a"), ("version", "v1"))
    )


def test_an_entry() -> None:
    entry = (
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm}\n"
        "spec: {address: 10.2.0.1, serviceAccount: sa, "
        "labels: {service.istio.io/workload-name: w}}\n"
    )
    found = snapshot_of(entry).peers["10.2.0.1"]
    assert (found.name, found.namespace, found.service_account) == ("w", "default", "sa")


def test_addresses_that_are_shared_by_a_node_are_nobodys() -> None:
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {hostNetwork: true}\n"
        "status: {podIP: 10.9.0.1}\n"
    )
    assert "10.9.0.1" not in snapshot_of(pod).peers
