"""Who is at an address, and which workload this sidecar stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from meshproxy.base.addr import is_ip
from meshproxy.model.workload import UNKNOWN, Workload
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.pod import Pod
from meshproxy.translate.kinds.workload_entry import WorkloadEntry

_CLUSTER = "Kubernetes"  # Istio's name for the cluster it runs in, unless told otherwise
_NAMES = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_REVISIONS = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")


def pod_workload(pod: Pod) -> Workload:
    return _workload(pod.meta, pod.meta.labels, pod.workload, pod.service_account)


def entry_workload(entry: WorkloadEntry) -> Workload:
    name = entry.labels.get("service.istio.io/workload-name") or entry.meta.name
    return _workload(entry.meta, entry.labels, name, entry.service_account)


def inline_workload(endpoint: WorkloadEntry) -> Workload:
    """An endpoint that a ServiceEntry lists: without a name, and often without anything."""
    if not endpoint.labels and endpoint.service_account == "default":
        return UNKNOWN
    name = endpoint.labels.get("service.istio.io/workload-name", UNKNOWN.name)
    return _workload(endpoint.meta, endpoint.labels, name, endpoint.service_account)


def _workload(meta: Meta, labels: Mapping[str, str], name: str, account: str) -> Workload:
    return Workload(
        name,
        meta.namespace,
        labels.get("app", UNKNOWN.app),
        labels.get("version", UNKNOWN.version),
        _first(labels, _NAMES, name),
        _first(labels, _REVISIONS, UNKNOWN.canonical_revision),
        account,
        _CLUSTER,
        tuple(sorted(labels.items())),
    )


def _first(labels: Mapping[str, str], names: tuple[str, ...], default: str) -> str:
    for name in names:
        if labels.get(name):
            return labels[name]
    return default


class Workloads:
    """The workloads of the mesh, by address and by name."""

    def __init__(self, pods: list[Pod], entries: list[WorkloadEntry], memo: Memo) -> None:
        self.by_address: dict[str, Workload] = {}
        self.by_pod: dict[tuple[str, str], Workload] = {}
        self.by_entry: dict[tuple[str, str], Workload] = {}
        for pod in pods:
            name = (pod.meta.namespace, pod.meta.name)
            workload = memo.get(("pod", name), (pod,), partial(pod_workload, pod))
            self.by_pod[name] = workload
            for address in () if pod.host_network else pod.addresses:
                self.by_address.setdefault(address, workload)
        for entry in entries:
            name = (entry.meta.namespace, entry.meta.name)
            workload = memo.get(("entry", name), (entry,), partial(entry_workload, entry))
            self.by_entry[name] = workload
            if is_ip(entry.address):
                self.by_address.setdefault(entry.address, workload)
