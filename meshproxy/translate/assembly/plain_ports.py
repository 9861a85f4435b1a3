"""Ports that a Sidecar resource has opened for `captureMode: NONE`: no redirect rules needed.

The app calls an egress port and Host picks the service, or, for TCP, the one service there is.
Peers call an ingress port and reach the app's own (Istio: `SidecarScope` listeners that bind).
"""

from __future__ import annotations

from meshproxy.model.listener import Application, Direction, FilterChain, Listener
from meshproxy.model.origin import Origin
from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.translate.assembly.inbound import Guard, InboundPort, port_chain
from meshproxy.translate.assembly.names import BLACK_HOLE
from meshproxy.translate.assembly.outbound import Routing
from meshproxy.translate.assembly.scope import ListenerScope
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.assembly.tcp_routes import L4Routes, TcpBuilder
from meshproxy.translate.assembly.virtual_hosts import HostBuilder
from meshproxy.translate.kinds.sidecar import Ingress
from meshproxy.translate.protocol import TLS, Protocol

LOCAL = "127.0.0.1"
ANY = "0.0.0.0"


def egress_listener(
    scope: ListenerScope, hosts: HostBuilder, tcp: TcpBuilder, routing: Routing, origin: Origin
) -> Listener:
    """A port for the app to call. Its services are those that have the same port."""
    port = scope.egress.port
    assert port is not None, "the caller has looked"
    bind = scope.egress.bind or LOCAL
    name = f"{bind}_{port.number}"
    application = port.protocol.application
    services = _called(scope)
    config = ""
    if application is not Application.TCP:
        config = routing.free_name(port.number, bind)
        if scope.egress.is_proxy:
            routing.add(config, hosts.by_port(config), by_port=True)
        else:
            routing.add(config, hosts.hosts(config, port.number))
    rules: tuple[TcpRoute, ...] = ()
    route = None
    if application is not Application.HTTP:
        rules, route = _l4(services, tcp, port.protocol, port.number)
    chain = FilterChain(name, application, 0, (), config, route, origin=origin, rules=rules)
    return Listener(name, Direction.OUTBOUND, False, port.number, (bind,), (chain,), origin=origin)


def egress_fault(scope: ListenerScope) -> str:
    """What is odd about a port for the app to call, or ""."""
    port = scope.egress.port
    if port is None:
        return ""
    services = _called(scope)
    count = len(services)
    if not scope.services:
        with_port = "" if scope.egress.is_proxy else f" with port {port.number}"
        return f"none of its hosts is a service{with_port}"
    if count > 1 and port.protocol.application is Application.TCP and port.protocol not in TLS:
        return f"{count} services have port {port.number}: all connections go to {services[0].host}"
    return ""


def _called(scope: ListenerScope) -> list[MeshService]:
    """An alias is called at what it stands for."""
    return [each for each in scope.services.values() if not each.alias_of]


def _l4(services: list[MeshService], tcp: TcpBuilder, protocol: Protocol, port: int) -> L4Routes:
    """TLS of several services is told apart by its name.

    Otherwise the first of them has it: nothing tells a plain connection which one it is for.
    """
    nowhere = TcpRoute((WeightedCluster(BLACK_HOLE),))
    if protocol not in TLS:
        services = services[:1]
    found = [tcp.routes(each, protocol, port, len(services) > 1) for each in services]
    rules = tuple(rule for each in found for rule in each.rules)
    return L4Routes(rules, next((each.default for each in found if each.default), nowhere))


def ingress_listener(
    ingress: Ingress, port: InboundPort, address: str, guard: Guard, origin: Origin
) -> Listener:
    """A port for peers to call. ``address`` is where this host can be reached, or ""."""
    bind = ingress.bind or address or ANY
    name = f"{bind}_{port.number}"
    chain = port_chain(port, guard, captured=False)
    return Listener(name, Direction.INBOUND, False, port.number, (bind,), (chain,), origin=origin)
