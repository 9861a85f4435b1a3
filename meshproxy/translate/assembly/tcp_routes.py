"""Where connections go that are not HTTP: by a VirtualService's ``tcp``, else to the service.

Istio `pilot/pkg/networking/core/tls.go`: rules are asked in order, the first match decides.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.translate.assembly.http_routes import destination_cluster
from meshproxy.translate.assembly.names import outbound_cluster
from meshproxy.translate.assembly.scope import ListenerScope, Rule, Self
from meshproxy.translate.assembly.services import MeshService, Registry
from meshproxy.translate.kinds.common import MESH_GATEWAY
from meshproxy.translate.kinds.l4_route import L4Arm, L4Match, L4Route
from meshproxy.translate.kinds.meta import selects


class TcpBuilder:
    """Makes TCP routes for one egress listener."""

    def __init__(self, scope: ListenerScope, registry: Registry, self_: Self) -> None:
        self._scope = scope
        self._registry = registry
        self._self = self_
        self._rules: dict[str, list[Rule]] = {}
        for rule in scope.rules:
            for host in rule.hosts if rule.value.tcp else ():
                self._rules.setdefault(host, []).append(rule)

    def route(self, service: MeshService, port: int) -> TcpRoute:
        for rule in self._rules.get(service.host, ()):
            for entry in rule.value.tcp:
                if self._applies(entry, service, port):
                    return TcpRoute(self._arms(entry.arms, rule, port), rule.origin)
        cluster = WeightedCluster(outbound_cluster(port, service.host))
        return TcpRoute((cluster,), service.origin)

    def _applies(self, route: L4Route, service: MeshService, port: int) -> bool:
        if not route.matches:
            return True
        return any(self._matches(match, service, port) for match in route.matches)

    def _matches(self, match: L4Match, service: MeshService, port: int) -> bool:
        if match.port and match.port != port:
            return False
        if match.gateways:
            return MESH_GATEWAY in match.gateways
        if not selects(match.source_labels, self._self.labels):
            return False
        if match.source_namespace not in ("", self._self.namespace):
            return False
        return not match.subnets or any(
            _inside(address, match.subnets) for address in service.addresses
        )

    def _arms(self, arms: tuple[L4Arm, ...], rule: Rule, port: int) -> tuple[WeightedCluster, ...]:
        if len(arms) > 1:
            arms = tuple(arm for arm in arms if arm.weight)
        namespace = rule.value.meta.namespace
        return tuple(
            WeightedCluster(
                destination_cluster(arm.destination, port, namespace, self._registry, self._scope),
                arm.weight or 1,
            )
            for arm in arms
        )


def _inside(address: str, subnets: tuple[str, ...]) -> bool:
    return any(ip_address(address) in ip_network(subnet, strict=False) for subnet in subnets)
