"""Pods."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.pod import Pod
from tests.unit.translate.support import check_fault, typed


def text(spec: str = "{}", status: str = "{podIP: 10.0.0.1}", metadata: str = "name: a-b-c") -> str:
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{{metadata}}}\nspec: {spec}\nstatus: {status}\n"


def pod(*parts: str, **named: str) -> Pod:
    value, problems = typed(text(*parts, **named))
    assert not problems, problems
    assert isinstance(value, Pod)
    return value


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ("{podIP: 10.0.0.1}", True),
        ("{conditions: [{type: Ready, status: 'True'}]}", True),
        ("{conditions: [{type: Ready, status: 'False'}]}", False),
        ("{conditions: [{type: Initialized, status: 'False'}]}", True),
        ("{phase: Succeeded}", False),
        ("{phase: Failed}", False),
        ("{phase: Running}", True),
    ],
)
def test_readiness(status: str, ready: bool) -> None:
    assert pod("{}", status).ready is ready


def test_addresses() -> None:
    both = "{podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: 'FD00::1'}]}"
    assert pod("{}", both).addresses == ("10.0.0.1", "fd00::1")
    assert pod("{hostNetwork: true}").host_network
    assert pod("{}", "{}").addresses == ()


def test_ports_and_account() -> None:
    spec = "{serviceAccountName: sa, containers: [{ports: [{name: web, containerPort: 8080}]}]}"
    found = pod(spec)
    assert (found.ports, found.service_account) == ({"web": 8080}, "sa")
    assert pod().service_account == "default"


@pytest.mark.parametrize(
    ("metadata", "workload"),
    [
        ("name: a", "a"),
        ("name: a, ownerReferences: [{kind: StatefulSet, name: s, controller: true}]", "s"),
        ("name: a, ownerReferences: [{kind: StatefulSet, name: s}]", "a"),
        (
            "name: a, labels: {pod-template-hash: 7d8}, "
            "ownerReferences: [{kind: ReplicaSet, name: web-7d8, controller: true}]",
            "web",
        ),
        ("name: a, ownerReferences: [{kind: ReplicaSet, name: web, controller: true}]", "web"),
        ("name: a, ownerReferences: [{kind: Job, name: n-28461234, controller: true}]", "n"),
        ("name: a, ownerReferences: [{kind: Job, name: once, controller: true}]", "once"),
        (
            "name: a, labels: {deploymentconfig: dc}, "
            "ownerReferences: [{kind: ReplicationController, name: dc-1, controller: true}]",
            "dc",
        ),
    ],
)  # fmt: skip
def test_the_owner_gives_the_workload_its_name(metadata: str, workload: str) -> None:
    assert pod(metadata=metadata).workload == workload


@pytest.mark.parametrize(
    ("spec", "status", "field"),
    [
        ("{}", "{podIP: here}", "status.podIP"),
        ("{}", "{podIPs: [{ip: 1}]}", "status.podIPs[0].ip"),
        ("{containers: [{ports: [{name: a, containerPort: x}]}]}", "{}",
         "spec.containers[0].ports[0].containerPort"),
        ("{hostNetwork: 'no'}", "{}", "spec.hostNetwork"),
    ],
)  # fmt: skip
def test_faults(spec: str, status: str, field: str) -> None:
    check_fault(text(spec, status), field)
