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
        """Chains by address first, then by port. ``taken`` are places of other listeners.

        Subnets are called at the listener of all addresses in Istio, so that who has that has them.
        """
        exact: list[FilterChain] = []
        ports: dict[int, list[tuple[MeshService, ServicePort]]] = {}
        bind = self._scope.egress.bind
        for service, port, ips in self._ports():
            if ips:
                free = tuple(
                    ip
                    for ip in ips
                    if (ip, port.number) not in taken
                    and not ("/" in ip and ("", port.number) in taken)
                )
                if free:
                    exact.append(self._address_chain(service, port, free))
            elif self._everywhere(service, port) and (bind, port.number) not in taken:
                ports.setdefault(port.number, []).append((service, port))
        return [
            *_together(exact, self._fallback),
            *(self._port_chain(number, ports[number]) for number in sorted(ports)),
        ]

    def _everywhere(self, service: MeshService, port: ServicePort) -> bool:
        """Whether a port without addresses is that of all: not of a headless service, of which
        nobody is there."""
        http = port.protocol.application is Application.HTTP
        return http or not service.headless or self._scope.egress.port is not None

    def _ports(self) -> Iterator[tuple[MeshService, ServicePort, tuple[str, ...]]]:
        """What the listener's services have, and where. An alias is called at what it stands for.

        Where a Sidecar opens a port, it says what that carries, and not the services (Istio
        `buildSidecarOutboundListeners`).
        """
        only = self._scope.egress.port
        for service in self._scope.services.values():
            for port in service.ports if not service.alias_of else ():
                if only is None:
                    places = self._places(service, port)
                elif only.number == port.number:
                    places = self._places(service, replace(port, protocol=only.protocol))
                else:
                    continue
                for carried, ips in places:
                    yield service, carried, ips

    def _places(
        self, service: MeshService, port: ServicePort
    ) -> Iterator[tuple[ServicePort, tuple[str, ...]]]:
        """Addresses by which a port is told apart, none where they don't tell, and what it carries.

        HTTP is told apart by Host. A subnet is shared with others, so that TLS is told apart by
        name there, and a port that may carry anything is two: HTTP, wherever it goes, and the rest.
        """
        if port.protocol.application is Application.HTTP:
            yield port, ()
            return
        undeclared = port.protocol is Protocol.UNDECLARED
        as_http = replace(port, protocol=Protocol.HTTP)
        if service.named_only and not self._scope.egress.bind:
            if undeclared:
                yield as_http, ()
            return
        ips = self._addresses(service, port)
        subnets = tuple(ip for ip in ips if "/" in ip)
        if not subnets:
            yield port, ips
            return
        if len(subnets) < len(ips):
            yield port, tuple(ip for ip in ips if "/" not in ip)
        if undeclared:
            yield as_http, ()
            port = replace(port, protocol=Protocol.TCP)
        yield port, subnets

    def _addresses(self, service: MeshService, port: ServicePort) -> tuple[str, ...]:
        """Where a service is called: its own addresses, or its endpoints' if it is headless.

        A listener's own address is all there is to call; a port that a Sidecar opens is all of a
        headless service's; and nobody calls himself by way of one.
        """
        if self._scope.egress.bind:
            return (self._scope.egress.bind,)
        if not service.headless or self._scope.egress.port is not None:
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
            ("chain", service.host, port.number, ips[0]),
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


def _together(chains: list[FilterChain], fallback: TcpRoute) -> Iterator[FilterChain]:
    """Those of one place as one: TLS is told apart by its name, of the rest the first counts."""
    found: dict[tuple[tuple[str, ...], int, Application], list[FilterChain]] = {}
    for chain in chains:
        found.setdefault((chain.ips, chain.port, chain.application), []).append(chain)
    for first, *more in found.values():
        if more and first.application is Application.TCP:
            whole = (each.tcp for each in (first, *more) if each.tcp not in (None, fallback))
            rules = tuple(rule for each in (first, *more) for rule in each.rules)
            first = replace(first, tcp=next(whole, first.tcp), rules=rules)
        yield first


def places(chains: Iterable[FilterChain]) -> Taken:
    """Where chains are: there, nothing of a later listener is. A subnet's is at all addresses."""
    found = {(ip, chain.port) for chain in chains for ip in chain.ips or ("",)}
    return frozenset(found | {("", port) for ip, port in found if "/" in ip})


def fallback_route(rest: str) -> TcpRoute:
    """Where connections to unknown places go: ``rest`` is a cluster, "" for nowhere."""
    return TcpRoute((WeightedCluster(rest or BLACK_HOLE),))


def captured_listener(
    chains: list[FilterChain], fallback: TcpRoute, port: int, bind: tuple[str, ...]
) -> Listener:
    last = FilterChain(f"{VIRTUAL_OUTBOUND}-fallback", Application.TCP, tcp=fallback)
    return Listener(VIRTUAL_OUTBOUND, Direction.OUTBOUND, True, port, bind, (*chains, last))
