"""Routes with a CORS policy: the plan of a cross-origin request is made from its route's.

So that a request that is none, and a host without such a route, pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.plan.plan import Destination, RoutePlan
from meshproxy.route.cors import Judge
from meshproxy.route.rewrite import HeaderEdit
from meshproxy.wire.heads import Headers, RequestHead, without

Choose = Callable[[RequestHead], RoutePlan | None]


def with_cors(choose: Choose, judges: dict[RoutePlan, Judge]) -> Choose:
    """The same choice of routes, with what cross-origin requests are granted."""

    def chosen(head: RequestHead) -> RoutePlan | None:
        route = choose(head)
        judge = None if route is None else judges.get(route)
        if route is None or judge is None or (grant := judge(head)) is None:
            return route
        return _preflight(route, grant.headers) if grant.answered else _told(route, grant.headers)

    return chosen


def _preflight(route: RoutePlan, headers: Headers) -> RoutePlan:
    plan = RoutePlan(route.name, route.index)
    plan.status = 200
    plan.details = "cors_response"
    plan.edit_answer = lambda own: own + headers
    return plan


def _told(route: RoutePlan, headers: Headers) -> RoutePlan:
    """The route with answers that say who may read them, after all else was done to them."""
    names = frozenset(name for name, _ in headers)

    def tell(own: Headers) -> Headers:
        return without(own, names) + headers

    plan = RoutePlan(route.name, route.index)
    plan.timeout = route.timeout
    plan.rewrite_path = route.rewrite_path
    plan.edit_error = tell
    choose = route.choose
    if route.only is not None:
        plan.only = _telling(route.only, tell)
    elif choose is not None:
        plan.choose = lambda draw: _telling(choose(draw), tell)
    return plan


def _telling(destination: Destination, tell: HeaderEdit) -> Destination:
    edit = destination.edit_response
    return Destination(
        destination.slot,
        destination.edit_request,
        tell if edit is None else lambda headers: tell(edit(headers)),
        destination.authority,
    )
