"""Who is at an address, and which workload this sidecar stands beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from meshproxy.base.addr import is_ip
from meshproxy.model.origin import BUILT_IN, Origin
from meshproxy.model.workload import UNKNOWN, Workload
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.peer_modes import PeerModes, Plaintext
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
    if not endpoint.labels and not endpoint.service_account:
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


@dataclass(frozen=True, eq=False, slots=True)
class Peer:
    """A workload, and where it takes no mutual TLS, as far as it takes any (``plain`` not None).

    ``origin`` is the document that declares it.
    """

    workload: Workload = UNKNOWN
    plain: Plaintext | None = None
    origin: Origin = BUILT_IN

    def mutual(self, port: int) -> bool:
        return self.plain is not None and not self.plain.holds(port)


NOBODY = Peer()


class Workloads:
    """The workloads of the mesh, by address and by name."""

    def __init__(
        self,
        pods: list[Entry[Pod]],
        entries: list[Entry[WorkloadEntry]],
        memo: Memo,
        modes: PeerModes,
    ) -> None:
        self._modes = modes
        self.by_address: dict[str, Workload] = {}
        self.peers: dict[str, Peer] = {}
        self.by_pod: dict[tuple[str, str], Peer] = {}
        self.by_entry: dict[tuple[str, str], Peer] = {}
        for pod, _, origin in pods:
            name = (pod.meta.namespace, pod.meta.name)
            workload = memo.get(("pod", name), (pod,), partial(pod_workload, pod))
            inputs = (workload, self.plaintext(pod), origin)
            peer = memo.get(("peer", "pod", name), inputs, partial(Peer, *inputs))
            self.by_pod[name] = peer
            for address in () if pod.host_network else pod.addresses:
                self._add(address, peer)
        for entry, _, origin in entries:
            name = (entry.meta.namespace, entry.meta.name)
            workload = memo.get(("entry", name), (entry,), partial(entry_workload, entry))
            inputs = (workload, self.plaintext(entry), origin)
            peer = memo.get(("peer", "entry", name), inputs, partial(Peer, *inputs))
            self.by_entry[name] = peer
            if is_ip(entry.address):
                self._add(entry.address, peer)

    def plaintext(self, peer: Pod | WorkloadEntry) -> Plaintext | None:
        """Where mutual TLS is disabled; None: everywhere, as there is no sidecar."""
        if not peer.mutual:
            return None
        labels = peer.meta.labels if isinstance(peer, Pod) else peer.labels
        return self._modes.plaintext(peer.meta.namespace, labels)

    def inline(self, endpoint: WorkloadEntry, origin: Origin) -> Peer:
        """An endpoint that a ServiceEntry lists."""
        return Peer(inline_workload(endpoint), self.plaintext(endpoint), origin)

    def all_of(self, pods: Iterable[Pod], entries: Iterable[WorkloadEntry]) -> list[Peer]:
        found = [self.by_pod[(pod.meta.namespace, pod.meta.name)] for pod in pods]
        found += [self.by_entry[(entry.meta.namespace, entry.meta.name)] for entry in entries]
        return found

    def _add(self, address: str, peer: Peer) -> None:
        self.by_address.setdefault(address, peer.workload)
        self.peers.setdefault(address, peer)
