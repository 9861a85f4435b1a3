"""All listeners of one sidecar, with the clusters and routes that only they need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meshproxy.model.cluster import Cluster
from meshproxy.model.listener import FilterChain, Listener
from meshproxy.model.tls import TlsParameters
from meshproxy.translate.assembly import inbound, outbound, plain_ports
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.clusters import Defaults
from meshproxy.translate.assembly.inbound import Guard, InboundPort
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.names import inbound_cluster
from meshproxy.translate.assembly.outbound import OutboundBuilder, Routing
from meshproxy.translate.assembly.own import Own
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.assembly.scope import ListenerScope
from meshproxy.translate.assembly.services import Registry
from meshproxy.translate.assembly.tcp_routes import TcpBuilder
from meshproxy.translate.assembly.virtual_hosts import HostBuilder
from meshproxy.translate.kinds.sidecar import Ingress, Sidecar
from meshproxy.translate.options import Options


@dataclass(frozen=True, slots=True)
class Context:
    """What making listeners needs to know. ``rest``: the cluster for what no service is, or ""."""

    options: Options
    own: Own
    registry: Registry
    sidecar: Entry[Sidecar] | None
    rest: str
    defaults: Defaults
    guard: Guard
    tls_defaults: TlsParameters
    remarks: Remarks
    memo: Memo


def outbound_listeners(
    context: Context, scopes: list[ListenerScope], routing: Routing
) -> list[Listener]:
    """The captured one, and the plain ports of a Sidecar."""
    captured = [scope for scope in scopes if scope.egress.captured]
    listeners = []
    if context.options.outbound_port:
        fallback = outbound.fallback_route(context.rest)
        chains: list[FilterChain] = []
        for scope in captured:
            hosts, tcp = _builders(context, scope)
            builder = OutboundBuilder(
                scope,
                hosts,
                tcp,
                routing,
                fallback,
                context.remarks,
                context.memo,
                context.own.addresses,
            )
            chains += builder.chains(outbound.places(chains))
        port, bind = context.options.outbound_port, context.options.bind
        listeners.append(outbound.captured_listener(chains, fallback, port, bind))
    # Captured ports come first, so that their route tables keep their plain names.
    for at, scope in enumerate(scopes):
        port_ = scope.egress.port
        if scope.egress.captured or port_ is None or not port_.number or context.sidecar is None:
            continue
        hosts, tcp = _builders(context, scope)
        origin = context.sidecar.origin
        listeners.append(plain_ports.egress_listener(scope, hosts, tcp, routing, origin))
        fault = plain_ports.egress_fault(scope)
        if fault:
            path = ("spec", "egress", at, "port")
            context.remarks.warn(context.sidecar, path, fault, "name one service in hosts")
    return listeners


def _builders(context: Context, scope: ListenerScope) -> tuple[HostBuilder, TcpBuilder]:
    self_ = context.own.self_
    domain = context.options.domain
    hosts = HostBuilder(scope, context.registry, self_, domain, context.memo)
    return hosts, TcpBuilder(scope, context.registry, self_)


def inbound_listeners(context: Context) -> tuple[list[Listener], list[Cluster]]:
    """The captured one, the plain ports of a Sidecar, and the clusters of all their ports."""
    registry, own = context.registry, context.own
    known = context.memo.get(
        "own ports",
        (registry, own.addresses, own.workload, own.source),
        lambda: inbound.service_ports(registry, own),
    )
    ingress = context.sidecar.value.ingress if context.sidecar is not None else ()
    captured = [] if ingress else known
    clusters = [_cluster(context, port, True) for port in captured]
    plain = []
    for port, listener in _ingress(context, ingress, known):
        clusters.append(_cluster(context, port, listener is None))
        if listener is None:
            captured.append(port)
        else:
            plain.append(listener)
    if context.options.inbound_port:
        port_, bind = context.options.inbound_port, context.options.bind
        plain.insert(0, inbound.captured_listener(captured, context.guard, port_, bind))
    return plain, clusters


def _ingress(
    context: Context, ingress: Iterable[Ingress], known: list[InboundPort]
) -> Iterable[tuple[InboundPort, Listener | None]]:
    """Each ingress as a port, with a listener of its own if it is not captured."""
    if context.sidecar is None:
        return
    origin = context.sidecar.origin
    for at, each in enumerate(ingress):
        door = context.guard.of(each.port.number)
        port = inbound.ingress_port(each, known, origin, door, context.tls_defaults)
        if each.tls is not None and port.tls is None:
            text = "has no effect: the mesh's mutual TLS is ended on this port"
            mend = f"a PeerAuthentication with portLevelMtls {each.port.number}: DISABLE"
            context.remarks.warn(context.sidecar, ("spec", "ingress", at, "tls"), text, mend)
        listener = None
        if not each.captured:
            if each.endpoint is None and not each.unix:
                text = "without redirect rules there is no other way to know where the app is"
                path = ("spec", "ingress", at, "defaultEndpoint")
                context.remarks.warn(context.sidecar, path, text, "127.0.0.1:PORT of the app")
            address = own_address(context)
            listener = plain_ports.ingress_listener(each, port, address, context.guard, origin)
        yield port, listener


def _cluster(context: Context, port: InboundPort, captured: bool) -> Cluster:
    workload = context.own.workload
    address = own_address(context)
    key = ("inbound", inbound_cluster(port.number))
    inputs = (port.protocol.value, port.service, port.origin, port.endpoint, port.refusal,
              address, captured, workload, context.defaults.app_idle,
              context.defaults.connect_timeout)  # fmt: skip
    return context.memo.get(
        key,
        inputs,
        lambda: inbound.port_cluster(port, address, context.defaults, captured, workload),
    )


def own_address(context: Context) -> str:
    """The workload's address, if this host has it or is not known to lack it."""
    host = context.options.host_addresses
    for address in context.own.addresses:
        if not host or address in host or address.startswith("127."):
            return address
    return ""
