"""Endpoints that are known by name, and what DNS says of them.

Goes in: a cluster's endpoints and the answers there are. Comes out: the endpoints to use. Envoy's
`STRICT_DNS` uses all addresses of a name, each with the endpoint's weight; its `LOGICAL_DNS` has
one endpoint, which new connections reach at the address that was named first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from meshproxy.base.addr import ServerAddr
from meshproxy.model.cluster import Cluster, ClusterKind, Endpoint


class Answer(NamedTuple):
    """What is known of a name. ``fault``: why the last look at it found nothing, or ""."""

    addresses: tuple[str, ...] = ()
    fault: str = ""


Answers = Mapping[str, Answer]


def expand(endpoints: Iterable[Endpoint], answers: Answers, logical: bool) -> tuple[Endpoint, ...]:
    """Each address once. The endpoints of a logical cluster keep their names."""
    found: dict[ServerAddr, Endpoint] = {}
    for endpoint in endpoints:
        if not endpoint.name:
            found.setdefault(endpoint.address, endpoint)
            continue
        addresses = answers.get(endpoint.name, Answer()).addresses
        # Servers turn the order round with every answer, which alone is no change.
        for ip in addresses[:1] if logical else sorted(addresses):
            address = ServerAddr(ip, endpoint.address.port)
            name = endpoint.name if logical else ""
            found.setdefault(address, replace(endpoint, address=address, name=name))
    return tuple(found.values())


def with_addresses(cluster: Cluster, answers: Answers) -> Cluster:
    """The cluster with what its names mean now, for people to see."""
    logical = cluster.kind is ClusterKind.LOGICAL_DNS
    found = tuple(
        replace(known, name=endpoint.name)
        for endpoint in cluster.endpoints
        for known in expand((endpoint,), answers, logical) or (endpoint,)
    )
    return replace(cluster, endpoints=found)


def is_pending(names: Iterable[str], answers: Answers) -> bool:
    """Whether nobody has said yet what one of these names means."""
    return any(name not in answers for name in names)


def fault_of(names: Iterable[str], answers: Answers) -> str:
    """Why there is no address, as a sentence."""
    faults = [f"{name}: {answers[name].fault}" for name in names if name in answers]
    return "no address is known: " + "; ".join(faults[:3])
