"""A VirtualService's ``http`` as routes for the callers on one port.

Istio `pilot/pkg/networking/core/route/route.go`: an entry with n matches is n routes, matches for
other ports, gateways and sources fall away, and nothing follows a route that takes everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from meshproxy.model.origin import Origin
from meshproxy.model.route import (
    DirectResponse,
    Forward,
    HeaderOps,
    MatchKind,
    Redirect,
    Rewrite,
    Route,
    RouteMatch,
    WeightedCluster,
)
from meshproxy.translate.assembly.names import outbound_cluster
from meshproxy.translate.assembly.scope import Rule, Self
from meshproxy.translate.assembly.services import Registry
from meshproxy.translate.kinds.common import MESH_GATEWAY, Destination
from meshproxy.translate.kinds.http_action import RedirectRule
from meshproxy.translate.kinds.http_match import HttpMatch
from meshproxy.translate.kinds.http_route import HttpArm, HttpRoute
from meshproxy.translate.kinds.meta import selects

_ANY = HttpMatch()

ClusterOf = Callable[[Destination], str]


@dataclass(frozen=True, slots=True)
class RouteContext:
    """For whom and on which port routes are made."""

    self_: Self
    port: int
    cluster_of: ClusterOf


def destination_cluster(
    destination: Destination, port: int, namespace: str, registry: Registry
) -> str:
    """The cluster of a destination (Istio `GetDestinationCluster`).

    Without a port it is the one that was called if the service has it, else the service's only one.
    An alias means what it stands for. Unknown services keep their name: the caller is told so.
    """
    host = registry.resolve(destination.host, destination.namespace or namespace)
    service = registry.get(host)
    if service is not None and service.alias_of:
        host = service.alias_of
        service = registry.get(host)
    number = destination.port
    if not number:
        number = port
        if service is not None and service.port(port) is None and len(service.ports) == 1:
            number = service.ports[0].number
    return outbound_cluster(number, host, destination.subset)


def build_routes(rule: Rule, context: RouteContext) -> tuple[Route, ...]:
    """The routes of a rule; none if all of it is for others."""
    routes = []
    for entry in rule.value.http:
        for match in entry.matches or (_ANY,):
            if _applies(match, context):
                routes.append(_route(entry, match, rule.origin, context))
                if _takes_all(match.match):
                    return tuple(routes)
    return tuple(routes)


def _applies(match: HttpMatch, context: RouteContext) -> bool:
    """What is known of the caller and its port before any request comes."""
    if match.port and match.port != context.port:
        return False
    if match.claims:
        return False
    if match.gateways:
        return MESH_GATEWAY in match.gateways
    return selects(match.source_labels, context.self_.labels) and match.source_namespace in (
        "",
        context.self_.namespace,
    )


def _takes_all(match: RouteMatch) -> bool:
    path = match.path
    any_path = path is None or (path.kind, path.value) in _ANY_PATH
    return any_path and replace(match, path=None) == RouteMatch()


_ANY_PATH = {(MatchKind.PREFIX, ""), (MatchKind.PREFIX, "/"), (MatchKind.REGEX, ".*")}


def _route(entry: HttpRoute, match: HttpMatch, origin: Origin, context: RouteContext) -> Route:
    name = f"{entry.name}.{match.name}" if match.name else entry.name
    request, response = entry.request_headers, entry.response_headers
    if len(entry.arms) == 1:
        # Edits of an only destination are those of its route, after the route's own.
        request = _joined(request, entry.arms[0].headers.request)
        response = _joined(response, entry.arms[0].headers.response)
    return Route(match.match, _action(entry, context), name, request, response, origin)


def _joined(first: HeaderOps, second: HeaderOps) -> HeaderOps:
    return HeaderOps(first.set + second.set, first.add + second.add, first.remove + second.remove)


def _action(entry: HttpRoute, context: RouteContext) -> Forward | Redirect | DirectResponse:
    if entry.redirect is not None:
        return _redirect(entry.redirect, context.port)
    if entry.direct is not None:
        return entry.direct
    return Forward(_arms(entry.arms, context), _rewrite(entry), entry.timeout, entry.cors)


def _redirect(rule: RedirectRule, port: int) -> Redirect:
    number = port if rule.from_request_port else rule.redirect.port
    scheme = rule.redirect.scheme or "http"
    if (scheme, number) in (("http", 80), ("https", 443)):
        number = None  # a scheme's own port is not written out
    return replace(rule.redirect, port=number)


def _arms(arms: tuple[HttpArm, ...], context: RouteContext) -> tuple[WeightedCluster, ...]:
    """Arms without weight are left out, unless there is but one."""
    if len(arms) == 1:
        return (WeightedCluster(context.cluster_of(arms[0].destination), arms[0].weight or 1),)
    return tuple(
        WeightedCluster(
            context.cluster_of(arm.destination),
            arm.weight,
            arm.headers.request,
            arm.headers.response,
            arm.headers.authority,
        )
        for arm in arms
        if arm.weight
    )


def _rewrite(entry: HttpRoute) -> Rewrite | None:
    """Setting Host for the route, or for its only destination, is a rewrite."""
    authority = entry.rewrite.authority if entry.rewrite is not None else None
    authority = authority or entry.authority or None
    if authority is None and len(entry.arms) == 1:
        authority = entry.arms[0].headers.authority or None
    given = entry.rewrite or Rewrite()
    return Rewrite(given.uri, authority, given.regex) if entry.rewrite or authority else None
