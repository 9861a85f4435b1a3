"""Several services for one host: which one counts, and what of the others is added to it.

Istio (`SidecarScope`, `EndpointIndex`): what is declared in the caller's own namespace counts, else
a Service, so that nobody takes its host, else what is nearest and oldest. Those of its namespace
add ports that it does not have, and endpoints to those that it has. A Sidecar that sees another
namespace alone has the host from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from meshproxy.model.cluster import Endpoint
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.services import MeshService

CONFLICTING_PROTOCOLS = "IST0177"  # as `istioctl analyze` has it


class SetAside(NamedTuple):
    """A port of a service (0: all of it) that another one's is taken for."""

    service: MeshService
    chosen: MeshService
    port: int = 0
    code: str = ""


class OneAHost(NamedTuple):
    """``chosen``: a service for each host. ``rivals``: by host, those of further namespaces, the
    strongest first. ``aside``: what does not count."""

    chosen: list[MeshService]
    rivals: dict[str, list[MeshService]]
    aside: list[SetAside]


Distance = Callable[[MeshService], int | None]


def one_a_host(
    services: Iterable[MeshService], namespace: str, distance: Distance, memo: Memo
) -> OneAHost:
    """For a caller in ``namespace``; ``distance`` as in `scope`: what it can't see never wins."""
    hosts: dict[str, list[MeshService]] = {}
    for service in services:
        hosts.setdefault(service.host, []).append(service)
    found = OneAHost([], {}, [])
    for host, same in hosts.items():
        if len(same) == 1:
            found.chosen.extend(same)
            continue
        seen = [service for service in same if distance(service) is not None] or same
        seen.sort(key=lambda each: _strength(each, namespace, distance(each) or 0))
        owners = list(dict.fromkeys(service.namespace for service in seen))
        merged = []
        for owner in owners:
            first, *others = (service for service in seen if service.namespace == owner)
            found.aside.extend(_conflicts(first, others))
            key = ("same host", host, owner)
            merged.append(memo.get(key, (first, *others), partial(_merge, first, others)))
        found.aside.extend(SetAside(each, seen[0]) for each in seen if each.namespace != owners[0])
        found.chosen.append(merged[0])
        if merged[1:]:
            found.rivals[host] = merged[1:]
    return found


def _strength(
    service: MeshService, namespace: str, distance: int
) -> tuple[bool, bool, int, tuple[str, str, str]]:
    foreign = service.namespace != namespace
    return foreign, service.origin.kind != "Service", distance, service.age


def _conflicts(chosen: MeshService, others: list[MeshService]) -> Iterable[SetAside]:
    """Ports that two of them have, and not for the same protocol."""
    first = {port.number: (port.protocol, chosen) for port in chosen.ports}
    for service in others:
        for port in service.ports:
            protocol, owner = first.setdefault(port.number, (port.protocol, service))
            if protocol is not port.protocol:
                yield SetAside(service, owner, port.number, CONFLICTING_PROTOCOLS)


def _merge(chosen: MeshService, others: list[MeshService]) -> MeshService:
    if not others:
        return chosen
    ports = {port.number: port for port in chosen.ports}
    endpoints = dict(chosen.endpoints)
    resolutions = dict(chosen.resolutions)
    addresses = dict.fromkeys(chosen.addresses)
    names = dict.fromkeys(chosen.subject_alt_names)
    for service in others:
        addresses.update(dict.fromkeys(service.addresses))
        names.update(dict.fromkeys(service.subject_alt_names))
        for port in service.ports:
            known = ports.setdefault(port.number, port)
            if known is port:
                resolutions[port.number] = service.resolution(port.number)
            if known.protocol is port.protocol:
                more = service.endpoints.get(port.number, ())
                endpoints[port.number] = _joined(endpoints.get(port.number, ()), more)
    return replace(
        chosen,
        ports=tuple(ports.values()),
        endpoints=endpoints,
        resolutions=resolutions,
        addresses=tuple(addresses),
        subject_alt_names=tuple(names),
    )


def _joined(first: tuple[Endpoint, ...], more: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Each address once; whoever named it first says what it is."""
    found = {(endpoint.name, endpoint.address): endpoint for endpoint in (*more, *first)}
    wanted = dict.fromkeys((each.name, each.address) for each in (*first, *more))
    return tuple(found[key] for key in wanted)
