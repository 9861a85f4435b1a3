"""Istio `HTTPRoute`: one entry under a VirtualService's ``http``."""

from __future__ import annotations

from dataclasses import dataclass

from meshproxy.model.route import NO_OPS, Cors, DirectResponse, HeaderOps, MatchKind, Rewrite
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import LEAST_DURATION, Destination, read_destination
from meshproxy.translate.kinds.cors import read_cors
from meshproxy.translate.kinds.header_ops import NO_EDITS, HeaderEdits, read_headers
from meshproxy.translate.kinds.http_action import (
    RedirectRule,
    read_direct_response,
    read_redirect,
    read_rewrite,
)
from meshproxy.translate.kinds.http_extras import check_extras
from meshproxy.translate.kinds.http_match import HttpMatch, read_http_match
from meshproxy.translate.names import is_label


@dataclass(frozen=True, slots=True)
class HttpArm:
    """One destination of a split."""

    destination: Destination
    weight: int
    headers: HeaderEdits = NO_EDITS


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """Exactly one of ``arms``, ``redirect`` and ``direct`` is set, or ``delegate`` is
    (``NAMESPACE/NAME`` of another VirtualService; no namespace: the own one).

    ``headers`` are those of the whole route. No matches: everything matches.
    """

    name: str
    matches: tuple[HttpMatch, ...]
    arms: tuple[HttpArm, ...] = ()
    redirect: RedirectRule | None = None
    direct: DirectResponse | None = None
    rewrite: Rewrite | None = None
    request_headers: HeaderOps = NO_OPS
    response_headers: HeaderOps = NO_OPS
    authority: str = ""
    timeout: float = 0.0
    delegate: str = ""
    cors: Cors | None = None


def read_http_route(fields: Fields, is_delegate: bool) -> HttpRoute:
    matches = tuple(read_http_match(match) for match in fields.mappings("match"))
    redirect = read_redirect(fields.mapping("redirect")) if fields.has("redirect") else None
    direct = None
    if fields.has("directResponse"):
        direct = read_direct_response(fields.mapping("directResponse"))
    rewrite = read_rewrite(fields.mapping("rewrite")) if fields.has("rewrite") else None
    headers = read_headers(fields)
    if rewrite is not None and rewrite.authority and headers.authority:
        fields.error("headers", "the authority is set here and in rewrite", "set it once")
    route = HttpRoute(
        fields.text("name"),
        matches,
        _read_arms(fields),
        redirect,
        direct,
        rewrite,
        headers.request,
        headers.response,
        headers.authority,
        fields.duration("timeout", 0.0, LEAST_DURATION) or 0.0,
        _read_delegate(fields, is_delegate),
        read_cors(fields.mapping("corsPolicy")) if fields.has("corsPolicy") else None,
    )
    _check_conflicts(fields, route)
    if redirect is not None and redirect.redirect.prefix:
        _check_prefix_redirect(fields, matches)
    check_extras(fields)
    fields.skip("websocketUpgrade")
    fields.close()
    return route


def _read_arms(fields: Fields) -> tuple[HttpArm, ...]:
    arms = []
    for arm in fields.mappings("route"):
        destination = read_arm_destination(arm)
        arms.append(HttpArm(destination, read_weight(arm), read_headers(arm)))
        arm.close()
    check_weights(fields, [arm.weight for arm in arms])
    return tuple(arms)


def read_arm_destination(arm: Fields) -> Destination:
    if not arm.has("destination"):
        arm.error("destination", "is required", "name a service: destination: {host: reviews}")
        return Destination("")
    return read_destination(arm.mapping("destination"))


def read_weight(arm: Fields) -> int:
    return arm.integer("weight", 0, 0, 2**31 - 1)


def check_weights(fields: Fields, weights: list[int]) -> None:
    if len(weights) > 1 and not sum(weights):
        fields.error("route", "the weights add up to 0", "give at least one destination a weight")


def _read_delegate(fields: Fields, is_delegate: bool) -> str:
    if not fields.has("delegate"):
        return ""
    inner = fields.mapping("delegate")
    name, namespace = inner.text("name"), inner.text("namespace")
    inner.close()
    if is_delegate:
        fields.error("delegate", "a delegate can't delegate further", "route from here")
    elif namespace and not is_label(namespace):
        inner.error("namespace", f"{namespace!r} is not a namespace")
    return f"{namespace}/{name}"


_EXCLUSIVE = ("route", "fault", "rewrite", "directResponse", "redirect")


def _check_conflicts(fields: Fields, route: HttpRoute) -> None:
    """Istio `validateHTTPRouteConflict`: what can't stand beside what."""
    if route.delegate:
        ruled_out: tuple[str, ...] = ("redirect", "route")
        chief = "delegate"
    elif route.redirect is not None:
        ruled_out, chief = ("route", "fault", "rewrite", "directResponse"), "redirect"
    elif route.direct is not None:
        ruled_out, chief = ("route", "fault", "rewrite"), "directResponse"
    else:
        if not fields.items("route"):
            fields.error(
                "route",
                "says not what to do with a request",
                "add route, redirect or directResponse",
            )
        return
    for name in ruled_out:
        if fields.data.get(name):
            fields.error(name, f"{name} can't stand beside {chief}", "remove one of them")


def _check_prefix_redirect(fields: Fields, matches: tuple[HttpMatch, ...]) -> None:
    for at, match in enumerate(matches):
        path = match.match.path
        if path is not None and path.kind is not MatchKind.PREFIX:
            fields.report.error(
                (*fields.path, "match", at, "uri"),
                "redirect.prefixRewrite replaces a matched prefix",
                "match by prefix",
            )
