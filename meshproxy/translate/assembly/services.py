"""The registry: every service of the mesh under its full host name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from meshproxy.base.addr import ServerAddr, is_ip, parse_ip
from meshproxy.model.cluster import Endpoint
from meshproxy.model.cluster import Service as ServiceName
from meshproxy.model.origin import Origin
from meshproxy.model.workload import Workload
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.endpoints import EndpointFinder
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.kinds.meta import selects
from meshproxy.translate.kinds.service import Service, ServicePort
from meshproxy.translate.kinds.service_entry import Resolution
from meshproxy.translate.names import is_wildcard


@dataclass(frozen=True, eq=False, slots=True)
class MeshService:
    """A service, wherever it was declared.

    ``addresses`` are its own (cluster IPs; a ServiceEntry's may be subnets); a ``headless`` one is
    called at its endpoints'. ``aliases`` are other hosts that mean it. ``alias_of``: it only stands
    for that host. ``resolutions`` says by port number where endpoints come from, if not STATIC.
    ``external``: it is none of the mesh's. ``selector``: whom of its namespace it takes.
    ``named_only``: where it is, only DNS knows, so that no address tells who means it.
    """

    host: str
    name: ServiceName
    ports: tuple[ServicePort, ...]
    addresses: tuple[str, ...]
    endpoints: Mapping[int, tuple[Endpoint, ...]]
    export_to: tuple[str, ...]
    age: tuple[str, str, str]
    origin: Origin
    headless: bool = False
    alias_of: str = ""
    aliases: tuple[str, ...] = ()
    resolutions: Mapping[int, Resolution] = field(default_factory=dict)
    subject_alt_names: tuple[str, ...] = ()
    external: bool = False
    selector: Mapping[str, str] = field(default_factory=dict)
    named_only: bool = False

    @property
    def namespace(self) -> str:
        return self.name.namespace

    def takes(self, workload: Workload) -> bool:
        """Whether its selector takes a workload; one that is empty takes none."""
        return (
            bool(self.selector)
            and workload.namespace == self.namespace
            and selects(self.selector, dict(workload.labels))
        )

    def resolution(self, port: int) -> Resolution:
        return self.resolutions.get(port, Resolution.STATIC)

    def port(self, number: int) -> ServicePort | None:
        for port in self.ports:
            if port.number == number:
                return port
        return None


class Registry:
    """Services by host, and what a host name means in a namespace.

    ``rivals`` are services of other namespaces that have the host of one of these, the strongest
    first. ``breathe`` is called for each name that is asked for (see `Memo`).
    """

    def __init__(
        self,
        services: Iterable[MeshService],
        domain: str,
        breathe: Callable[[], object],
        rivals: Mapping[str, Sequence[MeshService]],
    ) -> None:
        self.rivals = rivals
        self._domain = domain
        self._breathe = breathe
        self._services = {service.host: service for service in services}

    def __iter__(self) -> Iterator[MeshService]:
        return iter(self._services.values())

    def get(self, host: str) -> MeshService | None:
        return self._services.get(host)

    def resolve(self, host: str, namespace: str) -> str:
        """A name as it stands in an object of a namespace, in full.

        Istio expands a name without dots; here it may also be all of a ServiceEntry's host, where
        it means no service of the namespace. ``reviews.prod`` and ``reviews.prod.svc`` are expanded
        too, if there is such a service, because DNS would do the same.
        """
        self._breathe()
        if is_wildcard(host):
            return host
        if "." not in host:
            full = f"{host}.{namespace}.svc.{self._domain}"
            return host if host in self._services and full not in self._services else full
        if host in self._services:
            return host
        for full in (f"{host}.svc.{self._domain}", f"{host}.{self._domain}"):
            if full in self._services:
                return full
        return host


def build_registry(
    services: list[MeshService],
    domain: str,
    memo: Memo,
    rivals: Mapping[str, Sequence[MeshService]],
) -> Registry:
    """One service a host, with aliases (type ExternalName) folded into what they stand for."""
    hosts = {service.host: service for service in services}
    aliases: dict[str, list[str]] = {}
    for at, service in enumerate(services):
        if service.alias_of:
            target = _meant(service, hosts)
            if target in hosts:
                aliases.setdefault(target, []).append(service.host)
            services[at] = memo.get(
                ("alias", service.host),
                (service, target, target in hosts),
                partial(_alias, service, target, target in hosts),
            )
    for at, service in enumerate(services):
        if service.host in aliases:
            names = tuple(aliases[service.host])
            services[at] = memo.get(
                ("aliases", service.host),
                (service, names),
                partial(replace, service, aliases=names),
            )
    return Registry(services, domain, memo.breathe, rivals)


def _meant(service: MeshService, hosts: Mapping[str, MeshService]) -> str:
    """The host that an alias stands for in the end; of a ring it is its own next."""
    seen = {service.host}
    target = service.alias_of
    while target in hosts and hosts[target].alias_of:
        if target in seen:
            return service.alias_of
        seen.add(target)
        target = hosts[target].alias_of
    return target


def _alias(service: MeshService, target: str, known: bool) -> MeshService:
    """What no service stands for, DNS may know (Istio, without its aliases: `DNSLB`)."""
    if known:
        return replace(service, alias_of=target)
    ip = parse_ip(target) if is_ip(target) else ""
    endpoints = {
        port.number: (
            Endpoint(ServerAddr(ip, port.number), name="" if ip else target, origin=service.origin),
        )
        for port in service.ports
    }
    return replace(service, alias_of="", endpoints=endpoints, external=True, named_only=True)


def services_of(
    entries: Iterable[Entry[Service]], finder: EndpointFinder, domain: str, memo: Memo
) -> list[MeshService]:
    return [_from_kubernetes(entry, finder, domain, memo) for entry in entries]


def _from_kubernetes(
    entry: Entry[Service], finder: EndpointFinder, domain: str, memo: Memo
) -> MeshService:
    service = entry.value
    meta = service.meta
    endpoints = finder.of(service)
    host = f"{meta.name}.{meta.namespace}.svc.{domain}"
    return memo.get(
        ("service", host),
        (service, endpoints, *entry.origin),
        lambda: MeshService(
            host,
            ServiceName(host, meta.name, meta.namespace),
            service.ports,
            service.addresses,
            endpoints,
            service.export_to,
            meta.age,
            entry.origin,
            service.headless,
            service.external_name,
            selector=service.selector,
        ),
    )
