"""The virtual hosts of one port: which rule speaks for which host, and what the routes are.

Istio `BuildSidecarOutboundVirtualHosts` (`pilot/pkg/networking/core/httproute.go`): of the rules
that name a service, one that names it exactly wins over a wildcard, a longer wildcard over a
shorter, and the oldest over the rest. A service without a rule gets a default route. Hosts of rules
that are no service are only reachable on port 80, where plain HTTP to the world goes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from meshproxy.model.listener import Application
from meshproxy.model.origin import Origin
from meshproxy.model.route import Forward, Route, RouteMatch, VirtualHost, WeightedCluster
from meshproxy.translate.assembly.claims import DomainNames, RuleIndex
from meshproxy.translate.assembly.http_routes import RouteContext, build_routes, destination_cluster
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.names import host_key, outbound_cluster
from meshproxy.translate.assembly.scope import ListenerScope, Rule, Self
from meshproxy.translate.assembly.services import MeshService, Registry
from meshproxy.translate.kinds.common import Destination

_HTTP_PORT = 80
_ANY = ("*",)


class _Place(NamedTuple):
    """A virtual host to be, and whose routes it gets: those of a rule, by number, or a service's
    own."""

    key: str
    name: str
    domains: tuple[str, ...]
    owner: int | MeshService


class HostBuilder:
    """Makes the virtual hosts of one egress listener, port by port."""

    def __init__(
        self, scope: ListenerScope, registry: Registry, self_: Self, domain: str, memo: Memo
    ) -> None:
        self._scope = scope
        self._index = RuleIndex(scope.rules)
        self._registry = registry
        self._self = self_
        labels = tuple(sorted(self_.labels.items()))
        self._labels = memo.get("own labels", labels, lambda: labels)
        self._domain = domain
        self._memo = memo

    def hosts(self, config: str, port: int) -> dict[str, VirtualHost]:
        """Virtual hosts by key, in an order that lets the first to claim a domain keep it."""
        services = self._memo.stage(
            ("speaking", port),
            tuple(self._scope.services.values()),
            lambda _: {
                host: service
                for host, service in self._scope.services.items()
                if _speaks_http(service, port)
            },
        )
        rules = self._rules(services, port)
        routes = [self._routes(rule, port) for rule in rules]
        # Edits are of routes, most of the time, and leave it as it was who is called what.
        places = self._memo.stage(
            ("places", config, port),
            (
                *(rule.hosts for rule in self._index.rules),
                *(rule.hosts if made else None for rule, made in zip(rules, routes, strict=True)),
                services,
            ),
            lambda _: self._places(config, port, services, rules, routes),
        )
        found: dict[str, VirtualHost] = {}
        for key, name, domains, owner in places:
            if isinstance(owner, int):
                host = self._host(key, name, domains, routes[owner], rules[owner].origin)
            else:
                host = self._host(key, name, domains, self._default(owner, port), owner.origin)
            found[key] = host
        return found

    def _places(
        self,
        config: str,
        port: int,
        services: Mapping[str, MeshService],
        rules: list[Rule],
        routes: list[tuple[Route, ...]],
    ) -> list[_Place]:
        names = DomainNames(self._self.namespace, self._domain, services)
        found: dict[str, _Place] = {}
        served: set[str] = set()

        def add(host: str, domains: tuple[str, ...], owner: int | MeshService) -> None:
            key = host_key(config, host)
            if domains and key not in found:
                found[key] = _Place(key, f"{host}:{port}", domains, owner)

        for at, rule in enumerate(rules):
            own, others = self._index.split(rule, services)
            if not routes[at] or not (own or port == _HTTP_PORT):
                continue
            for host in others:
                add(host, names.of_host(host), at)
            for host in own:
                served.add(host)
                add(host, names.of(services[host]), at)
        for host, service in services.items():
            if host not in served:
                add(host, names.of(service), service)
        return list(found.values())

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

    def _rules(self, services: Collection[str], port: int) -> list[Rule]:
        return list(self._index.rules) if port == _HTTP_PORT else self._index.naming(services)

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
        own = (rule.value, rule.origin, self._self.namespace, self._labels)

        def clusters() -> dict[Destination, str]:
            return {
                arm.destination: destination_cluster(
                    arm.destination, port, meta.namespace, self._registry
                )
                for entry in rule.value.http
                for arm in entry.arms
            }

        return self._memo.derived(
            ("routes", meta.namespace, meta.name, port),
            (*own, self._registry),
            lambda: (*own, tuple(clusters().values())),
            lambda: build_routes(rule, RouteContext(self._self, port, clusters().__getitem__)),
        )

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
