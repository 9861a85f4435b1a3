"""Which addresses answer for a service, as Istio gathers them.

EndpointSlices if there are any, else Endpoints, else the pods that the selector takes; and in any
case the WorkloadEntries of the namespace that it takes (`serviceregistry/kube/controller`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from meshproxy.base.addr import ServerAddr, is_ip
from meshproxy.model.cluster import Endpoint
from meshproxy.model.origin import Origin
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.workloads import NOBODY, Peer, Workloads
from meshproxy.translate.kinds.endpoints import Backend, Endpoints, EndpointSet
from meshproxy.translate.kinds.meta import selects
from meshproxy.translate.kinds.pod import Pod
from meshproxy.translate.kinds.service import Service, ServicePort
from meshproxy.translate.kinds.workload_entry import UNIX, WorkloadEntry

T = TypeVar("T")
ByPort = Mapping[int, tuple[Endpoint, ...]]
Found = dict[tuple[str, ServerAddr], Endpoint]


class _Listed(NamedTuple):
    """Endpoints that an object lists, and that object's place."""

    set: EndpointSet
    origin: Origin


class EndpointFinder:
    """Finds the endpoints of services among what the configuration holds."""

    def __init__(
        self,
        slices: Iterable[Entry[Endpoints]],
        pods: Iterable[Pod],
        entries: Iterable[WorkloadEntry],
        workloads: Workloads,
        memo: Memo,
    ) -> None:
        self._workloads = workloads
        self._memo = memo
        self._sets: dict[tuple[str, str, str], list[_Listed]] = {}
        for found, _, origin in slices:
            for each in found.sets:
                key = (found.meta.kind, found.meta.namespace, each.service)
                self._sets.setdefault(key, []).append(_Listed(each, origin))
        self._pods = _Index((pod, pod.meta.namespace, pod.meta.labels) for pod in pods)
        self._entries = _Index((entry, entry.meta.namespace, entry.labels) for entry in entries)

    def of(self, service: Service) -> ByPort:
        """Endpoints by the service's port number."""
        namespace, name = service.meta.namespace, service.meta.name
        sets = (
            self._sets.get(("EndpointSlice", namespace, name))
            or self._sets.get(("Endpoints", namespace, name))
            or []
        )
        pods, entries = self.select(namespace, service.selector)
        if sets:
            pods = []
        known = [self._known(namespace, backend) for each in sets for backend in each.set.backends]
        known += self._workloads.all_of(pods, entries)
        inputs = (service, *sets, *known, *pods, *entries)
        return self._memo.get(
            ("endpoints", namespace, name),
            inputs,
            lambda: {
                port.number: self._port(service, port, sets, pods, entries)
                for port in service.ports
            },
        )

    def select(
        self, namespace: str, selector: Mapping[str, str]
    ) -> tuple[list[Pod], list[WorkloadEntry]]:
        """The workloads of a namespace that a selector takes."""
        pods = list(self._pods.select(namespace, selector))
        return pods, list(self._entries.select(namespace, selector))

    def _known(self, namespace: str, backend: Backend) -> Peer:
        """Who is at a backend: the pod that is named there, else whoever has the address."""
        if backend.pod:
            peer = self._workloads.by_pod.get((namespace, backend.pod))
            if peer is not None:
                return peer
        return self._workloads.peers.get(backend.address, NOBODY)

    def _port(
        self,
        service: Service,
        port: ServicePort,
        sets: list[_Listed],
        pods: list[Pod],
        entries: list[WorkloadEntry],
    ) -> tuple[Endpoint, ...]:
        found: Found = {}
        for each, origin in sets:
            number = each.port(port.name)
            for backend in each.backends if number else ():
                if backend.ready or service.not_ready_too:
                    peer = self._known(service.meta.namespace, backend)
                    add_endpoint(found, backend.address, number, peer, origin=origin)
        for pod in pods:
            number = pod_port(pod, port)
            if number and (pod.ready or service.not_ready_too):
                peer = self._workloads.by_pod[(pod.meta.namespace, pod.meta.name)]
                for address in pod.addresses:
                    add_endpoint(found, address, number, peer)
        for entry in entries:
            number = entry_port(entry, port)
            if number:
                peer = self._workloads.by_entry[(entry.meta.namespace, entry.meta.name)]
                add_entry(found, entry, number, peer)
        return _one_family(service, tuple(found.values()))


def _one_family(service: Service, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """In a dual-stack cluster a pod has two addresses, and would be counted twice.

    The family of the service's first address counts; a headless service is called at both.
    """
    families = {endpoint.address.is_v6 for endpoint in endpoints if not endpoint.name}
    if len(families) < 2 or service.headless:
        return endpoints
    wanted = bool(service.addresses) and ":" in service.addresses[0]
    return tuple(
        endpoint for endpoint in endpoints if endpoint.name or endpoint.address.is_v6 == wanted
    )


def add_endpoint(
    found: Found, ip: str, port: int, peer: Peer, weight: int = 1, origin: Origin | None = None
) -> None:
    """The first to name an address is the one that counts. ``origin``: if not the peer's own."""
    address = ServerAddr(ip, port)
    mutual = peer.mutual(port)
    endpoint = Endpoint(address, weight, peer.workload, "", mutual, origin or peer.origin)
    found.setdefault(("", address), endpoint)


def add_entry(found: Found, entry: WorkloadEntry, port: int, peer: Peer) -> None:
    """An entry may be known by a name, whose addresses DNS knows."""
    if is_ip(entry.address):
        add_endpoint(found, entry.address, port, peer, entry.weight)
    elif entry.address and not entry.address.startswith(UNIX):
        address = ServerAddr("", port)
        mutual = peer.mutual(port)
        endpoint = Endpoint(
            address, entry.weight, peer.workload, entry.address, mutual, peer.origin
        )
        found.setdefault((entry.address, address), endpoint)


def pod_port(pod: Pod, port: ServicePort) -> int:
    """A named target is the container port of that name; a pod without one is no endpoint."""
    return port.target if isinstance(port.target, int) else pod.ports.get(port.target, 0)


def listed_port(workload: Pod | WorkloadEntry, port: ServicePort) -> int:
    """For a ServiceEntry: the workload's own number for the port's name, else the target's."""
    return workload.ports.get(port.name) or numbered(port)


def numbered(port: ServicePort) -> int:
    """A ServiceEntry's target, which has no other name than its number."""
    return port.target if isinstance(port.target, int) else port.number


def entry_port(entry: WorkloadEntry, port: ServicePort) -> int:
    """The entry's own number for the port's name or its target's, else the target's."""
    own = entry.ports.get(port.name) or entry.ports.get(str(port.target))
    if own:
        return own
    return port.target if isinstance(port.target, int) else 0


class _Index(Generic[T]):
    """Things with labels, found by a selector without asking each of them."""

    def __init__(self, things: Iterable[tuple[T, str, Mapping[str, str]]]) -> None:
        self._by_label: dict[tuple[str, str, str], list[tuple[T, Mapping[str, str]]]] = {}
        for thing, namespace, labels in things:
            for name, value in labels.items():
                self._by_label.setdefault((namespace, name, value), []).append((thing, labels))

    def select(self, namespace: str, selector: Mapping[str, str]) -> Iterator[T]:
        """An empty selector takes nothing here: such a service's endpoints are given by hand."""
        lists = [
            self._by_label.get((namespace, name, value), []) for name, value in selector.items()
        ]
        for thing, labels in min(lists, key=len, default=[]):
            if selects(selector, labels):
                yield thing
