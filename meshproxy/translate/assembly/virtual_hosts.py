"""The virtual hosts of one port: which rule speaks for which host, and what the routes are.

Istio `BuildSidecarOutboundVirtualHosts` (`pilot/pkg/networking/core/httproute.go`): of the rules
that name a service, one that names it exactly wins over a wildcard, a longer wildcard over a
shorter, and the oldest over the rest. A service without a rule gets a default route. Hosts of rules
that are no service are only reachable on port 80, where plain HTTP to the world goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from meshproxy.model.listener import Application
from meshproxy.model.origin import Origin
from meshproxy.model.route import Forward, Route, RouteMatch, VirtualHost, WeightedCluster
from meshproxy.translate.assembly.claims import DomainNames, RuleIndex
from meshproxy.translate.assembly.http_routes import RouteContext, build_routes, destination_cluster
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.names import host_key, outbound_cluster
from meshproxy.translate.assembly.scope import ListenerScope, Rule, Self
from meshproxy.translate.assembly.services import MeshService, Registry

_HTTP_PORT = 80
_ANY = ("*",)


class HostBuilder:
    """Makes the virtual hosts of one egress listener, port by port."""

    def __init__(
        self, scope: ListenerScope, registry: Registry, self_: Self, domain: str, memo: Memo
    ) -> None:
        self._scope = scope
        self._index = RuleIndex(scope.rules)
        self._registry = registry
        self._self = self_
        self._labels = tuple(sorted(self_.labels.items()))
        self._domain = domain
        self._memo = memo

    def hosts(self, config: str, port: int) -> dict[str, VirtualHost]:
        """Virtual hosts by key, in an order that lets the first to claim a domain keep it."""
        services = {
            host: service
            for host, service in self._scope.services.items()
            if _speaks_http(service, port)
        }
        names = DomainNames(self._self.namespace, self._domain, services)
        found: dict[str, VirtualHost] = {}
        served: set[str] = set()

        def add(
            host: str, domains: tuple[str, ...], routes: tuple[Route, ...], origin: Origin
        ) -> None:
            key = host_key(config, host)
            if domains and key not in found:
                found[key] = self._host(key, f"{host}:{port}", domains, routes, origin)

        for rule in self._rules(services, port):
            routes = self._routes(rule, port)
            own, others = self._index.split(rule, services)
            if not routes or not (own or port == _HTTP_PORT):
                continue
            for host in others:
                add(host, names.of_host(host), routes, rule.origin)
            for host in own:
                served.add(host)
                add(host, names.of(services[host]), routes, rule.origin)
        for host, service in services.items():
            if host not in served:
                add(host, names.of(service), self._default(service, port), service.origin)
        return found

    def by_port(self, config: str) -> dict[str, VirtualHost]:
        """The virtual hosts of all ports, for callers who name the port (a proxy's: HTTP_PROXY)."""
        numbers = {port.number for each in self._scope.services.values() for port in each.ports}
        found = {}
        for number in sorted(numbers | {_HTTP_PORT}):
            for key, host in self.hosts(f"{config}:{number}", number).items():
                found[key] = self._memo.get(
                    ("by port", key), (host, number), partial(_with_port, host, number)
                )
        return found

    def whole(self, config: str, service: MeshService, port: int) -> VirtualHost:
        """The one virtual host of an address and port that are known to be this service's.

        Whatever Host says, the connection was meant for this service (Istio's sniffed listeners).
        """
        routes, origin = self._default(service, port), service.origin
        single = {service.host: service}
        for rule in self._index.naming(single):
            found = self._routes(rule, port)
            if found and self._index.split(rule, single)[0]:
                routes, origin = found, rule.origin
                break
        key = host_key(config, service.host)
        return self._host(key, f"{service.host}:{port}", _ANY, routes, origin)

    def _rules(self, services: Iterable[str], port: int) -> Iterable[Rule]:
        return self._index.rules if port == _HTTP_PORT else self._index.naming(list(services))

    def _host(
        self,
        key: str,
        name: str,
        domains: tuple[str, ...],
        routes: tuple[Route, ...],
        origin: Origin,
    ) -> VirtualHost:
        return self._memo.get(
            ("host", key),
            (domains, routes, origin),
            lambda: VirtualHost(name, domains, routes, origin),
        )

    def _routes(self, rule: Rule, port: int) -> tuple[Route, ...]:
        meta = rule.value.meta
        clusters = {
            arm.destination: destination_cluster(
                arm.destination, port, meta.namespace, self._registry, self._scope
            )
            for entry in rule.value.http
            for arm in entry.arms
        }
        context = RouteContext(self._self, port, clusters.__getitem__)
        inputs = (
            rule.value,
            tuple(clusters.values()),
            self._self.namespace,
            self._labels,
            rule.origin,
        )
        key = ("routes", meta.namespace, meta.name, port)
        return self._memo.get(key, inputs, partial(build_routes, rule, context))

    def _default(self, service: MeshService, port: int) -> tuple[Route, ...]:
        return self._memo.get(
            ("default", service.host, port),
            service.origin,
            partial(_default_routes, service, port),
        )


def _with_port(host: VirtualHost, port: int) -> VirtualHost:
    return replace(host, domains=tuple(f"{domain}:{port}" for domain in host.domains))


def _default_routes(service: MeshService, port: int) -> tuple[Route, ...]:
    cluster = WeightedCluster(outbound_cluster(port, service.host))
    return (Route(RouteMatch(), Forward((cluster,)), origin=service.origin),)


def _speaks_http(service: MeshService, port: int) -> bool:
    """Whether a service's port may carry HTTP; an alias is reached through what it stands for."""
    if service.alias_of:
        return False
    found = service.port(port)
    return found is not None and found.protocol.application is not Application.TCP
