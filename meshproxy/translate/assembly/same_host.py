"""Several services for one host: which one counts, and what of the others is added to it.

Istio (`SidecarScope`, `EndpointIndex`): a Service is stronger than a ServiceEntry, so that nobody
takes its host, and among equals the oldest one counts. Those of its own namespace add ports that it
does not have, and endpoints to those that it has.
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


def one_a_host(
    services: Iterable[MeshService], visible: Callable[[MeshService], bool], memo: Memo
) -> tuple[list[MeshService], list[SetAside]]:
    """``visible``: whether the workload this is for may see it; what it can't see never wins."""
    hosts: dict[str, list[MeshService]] = {}
    for service in services:
        hosts.setdefault(service.host, []).append(service)
    found: list[MeshService] = []
    aside: list[SetAside] = []
    for host, same in hosts.items():
        if len(same) == 1:
            found += same
            continue
        seen = [service for service in same if visible(service)] or same
        chosen, *others = sorted(seen, key=_strength)
        added = [each for each in others if each.namespace == chosen.namespace]
        aside += [SetAside(each, chosen) for each in others if each.namespace != chosen.namespace]
        aside += _conflicts(chosen, added)
        merged = memo.get(("same host", host), (chosen, *added), partial(_merge, chosen, added))
        found.append(merged)
    return found, aside


def _strength(service: MeshService) -> tuple[bool, tuple[str, str, str]]:
    return service.origin.kind != "Service", service.age


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
