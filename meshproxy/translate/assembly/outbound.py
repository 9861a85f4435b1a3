"""Listeners for what the app calls.

Istio `pilot/pkg/networking/core/listener.go`, folded into one listener: where Istio opens a virtual
listener for an address and port, there is a filter chain here. HTTP services of one port share the
chain of that port, because Host tells them apart; TCP services have a chain by address each; where
a port does not say what it carries, both are at hand for the address. The most exact chain wins, so
a TCP service and HTTP services can have the same port.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from meshproxy.model.listener import Application, Direction, FilterChain, Listener
from meshproxy.model.route import RouteConfig, TcpRoute, VirtualHost, WeightedCluster
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.names import BLACK_HOLE, VIRTUAL_OUTBOUND
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.assembly.scope import ListenerScope
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.assembly.tcp_routes import TcpBuilder
from meshproxy.translate.assembly.virtual_hosts import HostBuilder
from meshproxy.translate.kinds.service import ServicePort
from meshproxy.translate.protocol import TLS, Protocol

Taken = frozenset[tuple[str, int]]  # addresses ("": all) and ports


class Routing:
    """Route tables as they are made; listeners refer to them by name."""

    def __init__(self) -> None:
        self.configs: dict[str, RouteConfig] = {}
        self.hosts: dict[str, VirtualHost] = {}

    def add(self, name: str, hosts: dict[str, VirtualHost], by_port: bool = False) -> str:
        self.configs[name] = RouteConfig(name, tuple(hosts), by_port)
        self.hosts.update(hosts)
        return name

    def free_name(self, port: int, bind: str) -> str:
        """A port's own name, or with its address where another listener has that already."""
        name = str(port)
        return name if name not in self.configs else f"{bind}_{port}"


class OutboundBuilder:
    """Chains of one egress listener's services."""

    def __init__(
        self,
        scope: ListenerScope,
        hosts: HostBuilder,
        tcp: TcpBuilder,
        routing: Routing,
        fallback: TcpRoute,
        remarks: Remarks,
        memo: Memo,
        own: Collection[str] = (),
    ) -> None:
        self._own = own
        self._scope = scope
        self._hosts = hosts
        self._tcp = tcp
        self._routing = routing
        self._fallback = fallback
        self._remarks = remarks
        self._memo = memo

    def chains(self, taken: Taken) -> list[FilterChain]:
        """Chains by address first, then by port. ``taken`` are places of other listeners."""
        exact: list[FilterChain] = []
        ports: dict[int, list[tuple[MeshService, ServicePort]]] = {}
        bind = self._scope.egress.bind
        for service, port in self._ports():
            http = port.protocol.application is Application.HTTP
            ips = self._addresses(service, port)
            if ips and not http:
                free = tuple(ip for ip in ips if (ip, port.number) not in taken)
                if free:
                    exact.append(self._address_chain(service, port, free))
            elif (http or not service.headless) and (bind, port.number) not in taken:
                ports.setdefault(port.number, []).append((service, port))
        return exact + [self._port_chain(number, ports[number]) for number in sorted(ports)]

    def _ports(self) -> Iterator[tuple[MeshService, ServicePort]]:
        """What the listener's services have. An alias is called at what it stands for.

        Where a Sidecar opens a port, it says what that carries, and not the services (Istio
        `buildSidecarOutboundListeners`). A port that may carry anything and is called at a subnet
        is two: HTTP that Host tells apart anywhere, and whatever goes to the subnet.
        """
        only = self._scope.egress.port
        for service in self._scope.services.values():
            for port in service.ports if not service.alias_of else ():
                if only is not None:
                    if only.number == port.number:
                        yield service, replace(port, protocol=only.protocol)
                elif port.protocol is Protocol.UNDECLARED and "/" in "".join(service.addresses):
                    yield service, replace(port, protocol=Protocol.HTTP)
                    yield service, replace(port, protocol=Protocol.TCP)
                else:
                    yield service, port

    def _addresses(self, service: MeshService, port: ServicePort) -> tuple[str, ...]:
        """Where a service is called: its own addresses, or its endpoints' if it is headless.

        A listener's own address is all there is to call; and nobody calls himself by way of a
        headless service.
        """
        if self._scope.egress.bind:
            return (self._scope.egress.bind,)
        if not service.headless:
            return service.addresses
        found = dict.fromkeys(
            endpoint.address.ip
            for endpoint in service.endpoints.get(port.number, ())
            if not endpoint.name and endpoint.address.ip not in self._own
        )
        return tuple(found)

    def _port_chain(
        self, number: int, services: list[tuple[MeshService, ServicePort]]
    ) -> FilterChain:
        """HTTP services, and others whose address is not known, share all addresses of a port.

        TLS is told apart by its name. What on an HTTP port is not HTTP goes where unknown
        connections go.
        """
        config, tcp = "", self._fallback
        rules: list[TcpRoute] = []
        others: list[MeshService] = []
        http = False
        for service, port in services:
            application = port.protocol.application
            if application is not Application.TCP and http:
                continue  # what is not HTTP there is for nobody (Istio)
            http = http or application is not Application.TCP
            if application is Application.HTTP:
                continue
            found = self._tcp.routes(service, port.protocol, number, named=True)
            if port.protocol not in TLS:
                others.append(service)
                if len(others) > 1:
                    rules += (rule for rule in found.rules if rule.subnets)
                    continue
            rules += found.rules
            tcp = found.default or tcp
        application = Application.TCP
        if http:
            config = str(number)
            application = Application.DETECT if others or rules else Application.HTTP
            if config not in self._routing.configs:
                self._routing.add(config, self._hosts.hosts(config, number))
        self._remark_hidden(others, number)
        bind = self._scope.egress.bind
        ips = (bind,) if bind else ()
        return FilterChain(
            f"0.0.0.0_{number}", application, number, ips, config, tcp, rules=tuple(rules)
        )

    def _remark_hidden(self, services: list[MeshService], number: int) -> None:
        for service in services[1:]:
            first = services[0].host
            self._remarks.service(
                service,
                number,
                f"connections can't be told from those to {first}, which has the same port",
                "give the service its clusterIP, or declare the port's protocol as http",
            )

    def _address_chain(
        self, service: MeshService, port: ServicePort, ips: tuple[str, ...]
    ) -> FilterChain:
        # Others may be in the same subnet, so there TLS is told apart by name as well (Istio).
        shared = any("/" in ip for ip in ips)
        found = self._tcp.routes(service, port.protocol, port.number, named=shared)
        if shared:  # a rule may say more of where it is asked
            ips = tuple(dict.fromkeys((*ips, *(ip for rule in found.rules for ip in rule.subnets))))
        route = found.default or self._fallback
        config = ""
        if port.protocol is Protocol.UNDECLARED:
            config = f"{service.host}:{port.number}"
            host = self._hosts.whole(config, service, port.number)
            self._routing.add(config, {f"{config}/{service.host}": host})
        return self._memo.get(
            ("chain", service.host, port.number),
            (ips, route.clusters, found.rules, port.protocol.value, config, service.origin),
            lambda: FilterChain(
                f"{ips[0]}_{port.number}",
                port.protocol.application,
                port.number,
                ips,
                config,
                route,
                origin=service.origin,
                rules=found.rules,
            ),
        )


def places(chains: Iterable[FilterChain]) -> Taken:
    """Where chains are: there, nothing of a later listener is."""
    return frozenset((ip, chain.port) for chain in chains for ip in chain.ips or ("",))


def fallback_route(rest: str) -> TcpRoute:
    """Where connections to unknown places go: ``rest`` is a cluster, "" for nowhere."""
    return TcpRoute((WeightedCluster(rest or BLACK_HOLE),))


def captured_listener(
    chains: list[FilterChain], fallback: TcpRoute, port: int, bind: tuple[str, ...]
) -> Listener:
    last = FilterChain(f"{VIRTUAL_OUTBOUND}-fallback", Application.TCP, tcp=fallback)
    return Listener(VIRTUAL_OUTBOUND, Direction.OUTBOUND, True, port, bind, (*chains, last))
