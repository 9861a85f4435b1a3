"""The listener for what calls the app.

Istio `pilot/pkg/networking/core/listener_inbound.go`: a chain for each port that a service has on
this workload, or, where a Sidecar lists ingress listeners, for those instead; one for each further
port that a PeerAuthentication names; and one for all the rest, passed on as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from meshproxy.base.addr import ServerAddr
from meshproxy.model.cluster import NO_SERVICE, Balance, Cluster, ClusterKind, Endpoint
from meshproxy.model.cluster import Service as ServiceName
from meshproxy.model.listener import Application, Direction, FilterChain, Listener
from meshproxy.model.origin import Origin
from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.model.secret import SecretRef
from meshproxy.model.tls import DownstreamTls, ServerMode, TlsParameters
from meshproxy.model.workload import Workload
from meshproxy.translate.assembly.clusters import SOURCE_V4, SOURCE_V6, Defaults
from meshproxy.translate.assembly.endpoints import entry_port, listed_port, pod_port
from meshproxy.translate.assembly.names import (
    INBOUND_PASSTHROUGH,
    VIRTUAL_INBOUND,
    inbound_cluster,
)
from meshproxy.translate.assembly.own import Own
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.kinds.pod import Pod
from meshproxy.translate.kinds.server_tls import ServerTls
from meshproxy.translate.kinds.service import ServicePort
from meshproxy.translate.kinds.sidecar import Ingress
from meshproxy.translate.protocol import Protocol

_WILDCARDS = ("0.0.0.0", "::")


class Door(NamedTuple):
    """How callers may come in, as in `FilterChain`."""

    mtls: bool = False
    refuse_plaintext: str = ""


OPEN = Door()


@dataclass(frozen=True, slots=True)
class Guard:
    """What callers meet: ``deny`` as in `FilterChain`; ``ports`` are exceptions to ``door``."""

    deny: str = ""
    door: Door = OPEN
    ports: Mapping[int, Door] = field(default_factory=dict)

    def of(self, port: int) -> Door:
        return self.ports.get(port, self.door)

    def on(self, chain: FilterChain) -> FilterChain:
        """A port's own TLS is ended where the mesh's is not (Istio `buildInboundListeners`)."""
        door = self.of(chain.port)
        if not self.deny and door == OPEN:
            return chain
        strict = door.refuse_plaintext or chain.refuse_plaintext
        return replace(chain, deny=self.deny, mtls=door.mtls, refuse_plaintext=strict)


@dataclass(frozen=True, slots=True)
class InboundPort:
    """A port of this workload and what is known of it."""

    number: int
    protocol: Protocol
    service: ServiceName
    origin: Origin
    endpoint: tuple[str, int] | None = None
    refusal: str = ""
    tls: DownstreamTls | None = None


def service_ports(services: Iterable[MeshService], own: Own) -> list[InboundPort]:
    """Ports that services have on this workload: the first service to name a port is its own."""
    found: dict[int, InboundPort] = {}
    for service in sorted(services, key=lambda each: (each.age[0], each.host)):
        for port in service.ports:
            for target in _own_targets(service, port, own):
                found.setdefault(
                    target, InboundPort(target, port.protocol, service.name, service.origin)
                )
    return list(found.values())


def _own_targets(service: MeshService, port: ServicePort, own: Own) -> set[int]:
    """Where a service's port is on this workload: by its labels, ready or not (it may well be ready
    only once it has been asked through this sidecar), else as an endpoint."""
    source = own.source
    if source is not None and service.takes(own.workload):
        if service.origin.kind == "ServiceEntry":
            number = listed_port(source, port)
        elif isinstance(source, Pod):
            number = pod_port(source, port)
        else:
            number = entry_port(source, port)
        return {number} - {0}
    return {
        endpoint.address.port
        for endpoint in service.endpoints.get(port.number, ())
        if endpoint.address.ip in own.addresses
    }


def ingress_port(
    ingress: Ingress,
    known: list[InboundPort],
    origin: Origin,
    door: Door,
    defaults: TlsParameters,
) -> InboundPort:
    """An ingress listener; metrics still name the service that has the port, or the only one.

    Its own TLS counts for nothing on a port where the mesh's is ended, by whatever ``door`` says.
    """
    number = ingress.port.number
    services = {port.service for port in known if port.number == number} or {
        port.service for port in known
    }
    service = services.pop() if len(services) == 1 else NO_SERVICE
    tls = ingress.tls if door == OPEN else None
    refusal = ""
    if ingress.unix:
        refusal = f"defaultEndpoint {ingress.unix}: unix sockets are not implemented in this build"
    elif tls is not None and tls.refusal:
        refusal = tls.refusal
    elif not ingress.captured and ingress.endpoint is None:
        refusal = f"the ingress port {number} is not captured and has no defaultEndpoint"
    protocol = ingress.port.protocol
    if ingress.tls is not None:
        protocol = protocol.inside_tls
    own = None if tls is None else _own_tls(tls, defaults)
    return InboundPort(number, protocol, service, origin, ingress.endpoint, refusal, own)


def _own_tls(tls: ServerTls, defaults: TlsParameters) -> DownstreamTls:
    # What can't be done (`refusal`) lets nobody in, and least of all what is not secured.
    mode = ServerMode.MUTUAL if tls.refusal else ServerMode(tls.mode)
    secret = SecretRef(tls.certificate, tls.key, tls.roots, tls.crl)
    return DownstreamTls(mode, secret, tls.parameters.over(defaults))


def port_cluster(
    port: InboundPort, address: str, defaults: Defaults, captured: bool, own: Workload
) -> Cluster:
    """The app's own port. ``address`` is this workload's.

    Where an endpoint is given, that is dialled, and a wildcard address means the workload's own.
    """
    cluster = Cluster(
        inbound_cluster(port.number),
        ClusterKind.ORIGINAL_DST,
        balance=Balance.PASSTHROUGH,
        http=port.protocol.upstream,
        service=port.service,
        connect_timeout=defaults.connect_timeout,
        idle_timeout=defaults.app_idle,
        refusal=port.refusal,
        origin=port.origin,
    )
    if port.endpoint is None:
        return replace(cluster, source_v4=SOURCE_V4, source_v6=SOURCE_V6) if captured else cluster
    ip, number = port.endpoint
    loopback = ip not in _WILDCARDS
    target = ServerAddr(ip if loopback else address or "127.0.0.1", number)
    cluster = replace(
        cluster,
        kind=ClusterKind.STATIC,
        balance=Balance.ROUND_ROBIN,
        endpoints=(Endpoint(target, 1, own),),
    )
    if loopback or not captured:
        return cluster
    # The workload's own address would be redirected to the sidecar again.
    return replace(cluster, source_v4=SOURCE_V4, source_v6=SOURCE_V6)


def port_chain(port: InboundPort, guard: Guard, captured: bool) -> FilterChain:
    """All HTTP, and all connections, to the app's port."""
    cluster = WeightedCluster(inbound_cluster(port.number))
    alone = f"the Sidecar's ingress ends TLS on port {port.number}" if port.tls else ""
    chain = FilterChain(
        f"0.0.0.0_{port.number}",
        port.protocol.application,
        port.number if captured else 0,
        tcp=TcpRoute((cluster,), port.origin),
        refuse_plaintext=alone,
        origin=port.origin,
        tls=port.tls,
    )
    if captured:
        return guard.on(chain)
    return replace(guard.on(replace(chain, port=port.number)), port=0)


def captured_listener(
    ports: Iterable[InboundPort], guard: Guard, port: int, bind: tuple[str, ...]
) -> Listener:
    chains = [port_chain(each, guard, captured=True) for each in ports]
    taken = {chain.port for chain in chains}
    passed = TcpRoute((WeightedCluster(INBOUND_PASSTHROUGH),))
    rest = FilterChain(VIRTUAL_INBOUND, Application.DETECT, tcp=passed)
    chains += [
        guard.on(replace(rest, name=f"{VIRTUAL_INBOUND}_{number}", port=number))
        for number in sorted(set(guard.ports) - taken)
    ]
    chains.append(guard.on(rest))
    return Listener(VIRTUAL_INBOUND, Direction.INBOUND, True, port, bind, tuple(chains))


def transparently(listeners: dict[str, Listener]) -> dict[str, Listener]:
    """The same with TPROXY as the rules that capture."""
    return {
        name: replace(listener, transparent=True) if name == VIRTUAL_INBOUND else listener
        for name, listener in listeners.items()
    }


def from_the_caller(clusters: dict[str, Cluster]) -> dict[str, Cluster]:
    """The same with the app dialled from its caller's address, not from 127.0.0.6."""
    return {
        name: replace(cluster, source_v4="", source_v6="", keep_source=True)
        if cluster.source_v4 == SOURCE_V4 and cluster.kind is ClusterKind.ORIGINAL_DST
        else cluster
        for name, cluster in clusters.items()
    }
