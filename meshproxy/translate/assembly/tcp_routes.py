"""Where connections go that are not HTTP: by a VirtualService's ``tcp`` or ``tls``, else to the
service.

Istio `pilot/pkg/networking/core/tls.go`: ``tls`` holds for ports that are declared TLS or HTTPS,
``tcp`` for the others. Rules are asked in order. A ``tcp`` route that asks for no subnet ends the
search; those before it are told apart by subnet when a connection comes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.translate.assembly.http_routes import destination_cluster
from meshproxy.translate.assembly.names import outbound_cluster
from meshproxy.translate.assembly.scope import ListenerScope, Rule, Self
from meshproxy.translate.assembly.services import MeshService, Registry
from meshproxy.translate.kinds.common import MESH_GATEWAY
from meshproxy.translate.kinds.l4_route import L4Arm, L4Match, L4Route
from meshproxy.translate.kinds.meta import selects
from meshproxy.translate.names import covers, is_wildcard, overlaps
from meshproxy.translate.protocol import TLS, Protocol


class L4Routes(NamedTuple):
    """``rules`` are asked first; ``default`` None: what fits none of them is nobody's we know."""

    rules: tuple[TcpRoute, ...]
    default: TcpRoute | None


class TcpBuilder:
    """Makes TCP and TLS routes for one egress listener."""

    def __init__(self, scope: ListenerScope, registry: Registry, self_: Self) -> None:
        self._scope = scope
        self._registry = registry
        self._self = self_
        self._exact: dict[str, list[int]] = {}
        self._wild: list[tuple[str, int]] = []
        for at, rule in enumerate(scope.rules):
            for host in rule.hosts if rule.value.tcp or rule.value.tls else ():
                if is_wildcard(host):
                    self._wild.append((host, at))
                else:
                    self._exact.setdefault(host, []).append(at)

    def routes(
        self, service: MeshService, protocol: Protocol, number: int, named: bool
    ) -> L4Routes:
        """For connections to a service's port, which is declared to carry a protocol.

        ``named``: only the name in its TLS tells who a connection is for, as many services share
        the address.
        """
        if protocol in TLS:
            return self._by_name(service, number, named)
        rules: list[TcpRoute] = []
        for rule in self._naming(service):
            for entry in rule.value.tcp:
                subnets = self._subnets(entry, number)
                if subnets is None:
                    continue
                arms = self._arms(entry.arms, rule, number)
                if not subnets:
                    return L4Routes(tuple(rules), TcpRoute(arms, rule.origin))
                rules.append(TcpRoute(arms, rule.origin, subnets))
        return L4Routes(tuple(rules), _to(service, number))

    def _by_name(self, service: MeshService, number: int, named: bool) -> L4Routes:
        """Istio `buildSidecarOutboundTLSFilterChainOpts`: with a rule, only what it names."""
        rules = tuple(
            TcpRoute(
                self._arms(entry.arms, rule, number), rule.origin, match.subnets, _lower(match)
            )
            for rule in self._naming(service)
            for entry in rule.value.tls
            for match in entry.matches
            if self._applies(match, number)
        )
        if rules:
            return L4Routes(rules, None)
        route = _to(service, number)
        if not named:
            return L4Routes((), route)
        return L4Routes((replace(route, sni=(service.host, *service.aliases)),), None)

    def _naming(self, service: MeshService) -> list[Rule]:
        """The rules with a host that means this service, in order."""
        found = set(self._exact.get(service.host, ()))
        if is_wildcard(service.host):
            for host, rules in self._exact.items():
                if covers(service.host, host):
                    found.update(rules)
        found.update(at for host, at in self._wild if overlaps(host, service.host))
        return [self._scope.rules[at] for at in sorted(found)]

    def _subnets(self, route: L4Route, port: int) -> tuple[str, ...] | None:
        """Where a route's connections must have been going, () for anywhere; None: not for us."""
        if not route.matches:
            return ()
        fitting = [match for match in route.matches if self._applies(match, port)]
        if not fitting:
            return None
        if any(not match.subnets for match in fitting):
            return ()
        return tuple(subnet for match in fitting for subnet in match.subnets)

    def _applies(self, match: L4Match, port: int) -> bool:
        """What is known of the caller and its port before any connection comes."""
        return (
            match.port in (0, port)
            and (not match.gateways or MESH_GATEWAY in match.gateways)
            and selects(match.source_labels, self._self.labels)
            and match.source_namespace in ("", self._self.namespace)
        )

    def _arms(self, arms: tuple[L4Arm, ...], rule: Rule, port: int) -> tuple[WeightedCluster, ...]:
        if len(arms) > 1:
            arms = tuple(arm for arm in arms if arm.weight)
        namespace = rule.value.meta.namespace
        return tuple(
            WeightedCluster(
                destination_cluster(arm.destination, port, namespace, self._registry),
                arm.weight or 1,
            )
            for arm in arms
        )


def _to(service: MeshService, port: int) -> TcpRoute:
    return TcpRoute((WeightedCluster(outbound_cluster(port, service.host)),), service.origin)


def _lower(match: L4Match) -> tuple[str, ...]:
    return tuple(name.lower() for name in match.sni_hosts)
