"""Virtual hosts and their routes, compiled."""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.model.route import (
    DirectResponse,
    Forward,
    Redirect,
    Route,
    TcpRoute,
    VirtualHost,
    WeightedCluster,
)
from meshproxy.plan.cors import with_cors
from meshproxy.plan.plan import ClusterSlot, Destination, HostPlan, RoutePlan
from meshproxy.route.cors import compile_cors
from meshproxy.route.rewrite import compile_header_ops, compile_redirect, compile_rewrite
from meshproxy.route.split import compile_split
from meshproxy.route.table import compile_routes

SlotOf = Callable[[str], ClusterSlot]


def compile_host(host: VirtualHost, slot: SlotOf) -> HostPlan:
    """A virtual host as a function from a request to its route."""
    plans = [compile_route(route, at, slot) for at, route in enumerate(host.routes)]
    choose = compile_routes(host.routes, plans)
    judges = {
        plan: compile_cors(route.action.cors)
        for plan, route in zip(plans, host.routes, strict=True)
        if isinstance(route.action, Forward) and route.action.cors is not None
    }
    return HostPlan(host.name, with_cors(choose, judges) if judges else choose)


def compile_route(route: Route, index: int, slot: SlotOf) -> RoutePlan:
    """One route with what it does."""
    plan = RoutePlan(route.name, index)
    action = route.action
    if isinstance(action, Forward):
        _forward(plan, route, action, slot)
    elif isinstance(action, Redirect):
        plan.status = action.status
        plan.location = compile_redirect(route.match, action)
        plan.edit_answer = compile_header_ops(route.response_headers)
    elif isinstance(action, DirectResponse):
        plan.status = action.status
        plan.body = action.body
        plan.edit_answer = compile_header_ops(route.response_headers)
    return plan


def _forward(plan: RoutePlan, route: Route, action: Forward, slot: SlotOf) -> None:
    rewrite = action.rewrite
    authority = "" if rewrite is None or rewrite.authority is None else rewrite.authority
    destinations = [
        Destination(
            slot(arm.cluster),
            compile_header_ops(arm.request_headers, route.request_headers),
            compile_header_ops(arm.response_headers, route.response_headers),
            (authority or arm.authority).encode(),
        )
        for arm in action.clusters
    ]
    _split(plan, action.clusters, destinations)
    plan.timeout = action.timeout
    if rewrite is not None:
        plan.rewrite_path = compile_rewrite(route.match, rewrite)


def _split(
    plan: RoutePlan, arms: tuple[WeightedCluster, ...], destinations: list[Destination]
) -> None:
    if len(destinations) == 1:
        plan.only = destinations[0]
    else:
        plan.choose = compile_split([arm.weight for arm in arms], destinations)


def compile_tcp(route: TcpRoute, slot: SlotOf) -> RoutePlan:
    """Where connections go that are not HTTP."""
    plan = RoutePlan("default")
    _split(plan, route.clusters, [Destination(slot(arm.cluster)) for arm in route.clusters])
    return plan


def forward_route(name: str, slot: ClusterSlot) -> RoutePlan:
    """Everything to one cluster."""
    plan = RoutePlan(name)
    plan.only = Destination(slot)
    return plan


def direct_route(name: str, status: int, reason: str) -> RoutePlan:
    """Everything refused from here, with the reason."""
    plan = RoutePlan(name)
    plan.status = status
    plan.reason = reason
    return plan
