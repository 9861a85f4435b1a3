"""ServiceEntries as services of the mesh: one for each of their hosts.

Istio `pilot/pkg/serviceregistry/serviceentry/conversion.go`. Metrics name such a service by its
host, and by the namespace of the ServiceEntry.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshproxy.base.addr import ServerAddr
from meshproxy.model.cluster import Endpoint
from meshproxy.model.cluster import Service as ServiceName
from meshproxy.model.origin import Origin
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.endpoints import (
    ByPort,
    EndpointFinder,
    Found,
    add_endpoint,
    add_entry,
    listed_port,
    numbered,
)
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.assembly.workloads import Workloads
from meshproxy.translate.kinds.pod import Pod
from meshproxy.translate.kinds.service import ServicePort
from meshproxy.translate.kinds.service_entry import Resolution, ServiceEntry
from meshproxy.translate.kinds.workload_entry import WorkloadEntry

_BY_NAME = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)


class ServiceEntries:
    """Makes services of ServiceEntries."""

    def __init__(self, finder: EndpointFinder, workloads: Workloads, memo: Memo) -> None:
        self._finder = finder
        self._workloads = workloads
        self._memo = memo

    def services(self, entries: Iterable[Entry[ServiceEntry]]) -> list[MeshService]:
        return [self._service(entry, host) for entry in entries for host in entry.value.hosts]

    def _service(self, entry: Entry[ServiceEntry], host: str) -> MeshService:
        value, meta = entry.value, entry.value.meta
        endpoints = self._endpoints(entry, host)
        return self._memo.get(
            ("service entry", meta.namespace, meta.name, host),
            (value, endpoints, *entry.origin),
            lambda: MeshService(
                host,
                ServiceName(host, host, meta.namespace),
                value.ports,
                value.addresses,
                endpoints,
                value.export_to,
                (meta.created, host, meta.namespace),
                entry.origin,
                resolutions={port.number: value.resolution for port in value.ports},
                subject_alt_names=value.subject_alt_names,
                external=value.external,
                selector=value.selector or {},
            ),
        )

    def _endpoints(self, declared: Entry[ServiceEntry], host: str) -> ByPort:
        """By port number; with resolution NONE there are none to be known."""
        entry, origin = declared.value, declared.origin
        pods: list[Pod] = []
        workloads: list[WorkloadEntry] = []
        if entry.selector is not None:
            pods, workloads = self._finder.select(entry.meta.namespace, entry.selector)
        known = self._workloads.all_of(pods, workloads)
        plain = [self._workloads.plaintext(each) for each in entry.endpoints]
        key = ("service entry endpoints", entry.meta.namespace, entry.meta.name, host)
        return self._memo.get(
            key,
            (entry, origin, *known, *plain, *pods, *workloads),
            lambda: {
                port.number: self._port(entry, origin, host, port, pods, workloads)
                for port in entry.ports
            },
        )

    def _port(
        self,
        entry: ServiceEntry,
        origin: Origin,
        host: str,
        port: ServicePort,
        pods: list[Pod],
        workloads: list[WorkloadEntry],
    ) -> tuple[Endpoint, ...]:
        found: Found = {}
        if entry.resolution in (Resolution.NONE, Resolution.DYNAMIC_DNS):
            return ()
        for pod in pods:
            peer = self._workloads.by_pod[(pod.meta.namespace, pod.meta.name)]
            for address in pod.addresses[:1] if pod.ready else ():
                add_endpoint(found, address, listed_port(pod, port), peer)
        for one in workloads:
            peer = self._workloads.by_entry[(one.meta.namespace, one.meta.name)]
            add_entry(found, one, listed_port(one, port), peer)
        for one in entry.endpoints:
            add_entry(found, one, listed_port(one, port), self._workloads.inline(one, origin))
        if not entry.endpoints and entry.selector is None and entry.resolution in _BY_NAME:
            endpoint = Endpoint(ServerAddr("", numbered(port)), name=host, origin=origin)
            found[host, endpoint.address] = endpoint
        return tuple(found.values())
