"""Route tables (envoy.config.route.v3.RouteConfiguration)."""

from __future__ import annotations

from meshproxy.model.origin import BUILT_IN
from meshproxy.model.route import (
    DirectResponse,
    Forward,
    HeaderMatch,
    HeaderOps,
    MatchKind,
    Redirect,
    Rewrite,
    Route,
    RouteMatch,
    StringMatch,
    VirtualHost,
    WeightedCluster,
)
from meshproxy.model.snapshot import Snapshot
from meshproxy.show.shape import Json, duration, metadata, others, typed, without_empty

ROUTES = "config.route.v3.RouteConfiguration"
CORS = "extensions.filters.http.cors.v3.CorsPolicy"
PASSTHROUGH = "PassthroughCluster"
_STATUS = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_ALL: Json = {"match": {"prefix": "/"}}


def table_json(snapshot: Snapshot, name: str) -> Json:
    """A route table by name, with the host that takes what no other does."""
    config = snapshot.route_configs[name]
    hosts = [host_json(snapshot.hosts[key]) for key in config.hosts if key in snapshot.hosts]
    if not any("*" in host["domains"] for host in hosts):
        hosts.append(_rest(snapshot, name))
    body: Json = {"name": name, "virtual_hosts": hosts, "validate_clusters": False}
    if not config.by_port:
        body["ignore_port_in_host_matching"] = True
    own = metadata(BUILT_IN, config, ("name", "hosts", "by_port"))
    return typed(ROUTES, {**body, "metadata": own} if own else body)


def _on_plain_port(snapshot: Snapshot, name: str) -> bool:
    return any(
        not listener.captured
        for listener in snapshot.listeners.values()
        for chain in listener.chains
        if chain.route_config == name
    )


def _rest(snapshot: Snapshot, name: str) -> Json:
    """For hosts that no virtual host names (Istio: `outboundTrafficPolicy`).

    A plain port has no original destination that a request could be passed on to.
    """
    rest = snapshot.outbound_rest
    passes = rest != PASSTHROUGH or not _on_plain_port(snapshot, name)
    if snapshot.outbound_allow_any and passes:
        action: Json = {"route": {"cluster": rest, "timeout": "0s"}}
        return _host("allow_any", ["*"], [{"name": "allow_any", **_ALL, **action}])
    action = {"direct_response": {"status": 502}}
    return _host("block_all", ["*"], [{"name": "block_all", **_ALL, **action}])


def inline_table(cluster: str) -> Json:
    """All requests to one cluster: what an inbound chain does with HTTP (Istio's names)."""
    port = cluster.split("|")[1] if "|" in cluster else "0"
    route = {"name": "default", **_ALL, "route": {"cluster": cluster, "timeout": "0s"}}
    host = _host(f"inbound|http|{port}", ["*"], [route])
    return {"name": cluster, "virtual_hosts": [host], "validate_clusters": False}


def _host(name: str, domains: list[str], routes: list[Json]) -> Json:
    return {"name": name, "domains": domains, "routes": routes}


def host_json(host: VirtualHost) -> Json:
    found = _host(host.name, list(host.domains), [route_json(route) for route in host.routes])
    more = metadata(host.origin, host, ("name", "domains", "routes"))
    return {**found, "metadata": more} if more else found


def route_json(route: Route) -> Json:
    """One rule; parts of it that Envoy has other means for are in its metadata."""
    match, more_match = _match(route.match)
    action, more_action = _action(route)
    found = metadata(
        route.origin,
        route,
        ("name", "match", "action", "request_headers", "response_headers"),
    )
    more = without_empty({"match": more_match, "action": more_action})
    if more:
        found.setdefault("filter_metadata", {}).setdefault("meshproxy", {}).update(more)
    return without_empty(
        {
            "name": route.name,
            "match": match,
            **action,
            **_headers(route.request_headers, "request"),
            **_headers(route.response_headers, "response"),
            "typed_per_filter_config": _filters(route),
            "metadata": found,
        }
    )


def _filters(route: Route) -> Json:
    cors = route.action.cors if isinstance(route.action, Forward) else None
    if cors is None:
        return {}
    found = {
        "allow_origin_string_match": [_string(origin) for origin in cors.origins],
        "allow_methods": cors.methods,
        "allow_headers": cors.headers,
        "expose_headers": cors.expose,
        "max_age": cors.max_age,
        "allow_credentials": cors.credentials or None,
    }
    shown = {**without_empty(found), "forward_not_matching_preflights": cors.forward_unmatched}
    return {"envoy.filters.http.cors": typed(CORS, shown)}


def _match(match: RouteMatch) -> tuple[Json, Json]:
    found = _path(match.path)
    headers = [
        _pair(f":{name}", value)
        for name, value in (
            ("method", match.method),
            ("authority", match.authority),
            ("scheme", match.scheme),
        )
        if value is not None
    ]
    found["headers"] = headers + [_header(each) for each in match.headers]
    found["query_parameters"] = [_header(each) for each in match.query]
    shown = ("path", "method", "authority", "scheme", "headers", "query")
    return without_empty(found), others(match, *shown)


def _path(path: StringMatch | None) -> Json:
    if path is None or path.kind is MatchKind.PRESENT:
        return {"prefix": "/"}
    found: Json = {}
    if path.kind is MatchKind.EXACT:
        found["path"] = path.value
    elif path.kind is MatchKind.REGEX:
        found["safe_regex"] = {"regex": path.value}
    else:
        found["prefix"] = path.value
    if path.ignore_case:
        found["case_sensitive"] = False
    return found


def _header(match: HeaderMatch) -> Json:
    found = _pair(match.name, match.match)
    if not match.invert:
        return found
    if match.match.kind is MatchKind.PRESENT:
        return {**found, "invert_match": True}
    return {**found, "invert_match": True, "treat_missing_header_as_empty": True}


def _pair(name: str, match: StringMatch) -> Json:
    if match.kind is MatchKind.PRESENT:
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": _string(match)}


def _string(match: StringMatch) -> Json:
    value: Json = (
        {"safe_regex": {"regex": match.value}}
        if match.kind is MatchKind.REGEX
        else {match.kind.value: match.value}
    )
    if match.ignore_case:
        value["ignore_case"] = True
    return value


def _action(route: Route) -> tuple[Json, Json]:
    """What is done, and what of it has no field."""
    action = route.action
    if isinstance(action, Forward):
        return {"route": _forward(route.match, action)}, _more_of(action)
    if isinstance(action, Redirect):
        return {"redirect": _redirect(action)}, others(
            action, "uri", "authority", "scheme", "port", "status", "prefix"
        )
    assert isinstance(action, DirectResponse)
    body = action.body.decode("utf-8", "replace")
    return {
        "direct_response": without_empty(
            {"status": action.status, "body": {"inline_string": body} if body else {}}
        )
    }, others(action, "status", "body")


def _more_of(action: Forward) -> Json:
    more = others(action, "clusters", "rewrite", "timeout", "cors")
    if action.rewrite is not None:
        more["rewrite"] = others(action.rewrite, "uri", "authority", "regex")
    arms = [
        {"name": arm.cluster, **own} for arm in action.clusters if (own := others(arm, *_OF_ARMS))
    ]
    return without_empty({**more, "clusters": arms})


_OF_ARMS = ("cluster", "weight", "request_headers", "response_headers", "authority")


def _forward(match: RouteMatch, action: Forward) -> Json:
    first, *more = action.clusters
    found: Json = {"timeout": duration(action.timeout)}
    if more or first.request_headers or first.response_headers:
        found["weighted_clusters"] = {"clusters": [_arm(each) for each in action.clusters]}
    else:
        found["cluster"] = first.cluster
    if action.rewrite is not None:
        found.update(_rewrite(match.path, action.rewrite))
    return found


def _rewrite(path: StringMatch | None, rewrite: Rewrite) -> Json:
    found: Json = {}
    if rewrite.regex is not None:
        pattern = {"regex": rewrite.regex.pattern}
        substitution = rewrite.regex.substitution
        found["regex_rewrite"] = {"pattern": pattern, "substitution": substitution}
    elif rewrite.uri is not None and path is not None and path.kind is MatchKind.REGEX:
        # Ours replaces the whole path, and a regular expression matches all of it.
        pattern = {"regex": path.value}
        found["regex_rewrite"] = {"pattern": pattern, "substitution": rewrite.uri}
    elif rewrite.uri is not None:
        found["prefix_rewrite"] = rewrite.uri
    if rewrite.authority is not None:
        found["host_rewrite_literal"] = rewrite.authority
    return found


def _arm(arm: WeightedCluster) -> Json:
    return without_empty(
        {
            "name": arm.cluster,
            "weight": arm.weight,
            "host_rewrite_literal": arm.authority,
            **_headers(arm.request_headers, "request"),
            **_headers(arm.response_headers, "response"),
        }
    )


def _redirect(action: Redirect) -> Json:
    return without_empty(
        {
            "path_redirect": action.uri,
            "prefix_rewrite": action.prefix,
            "host_redirect": action.authority,
            "scheme_redirect": action.scheme,
            "port_redirect": action.port,
            "response_code": _STATUS.get(action.status, action.status),
        }
    )


def _headers(ops: HeaderOps, side: str) -> Json:
    added = [_option(pair, "OVERWRITE_IF_EXISTS_OR_ADD") for pair in ops.set]
    added += [_option(pair, "APPEND_IF_EXISTS_OR_ADD") for pair in ops.add]
    return {f"{side}_headers_to_add": added, f"{side}_headers_to_remove": list(ops.remove)}


def _option(pair: tuple[str, str], action: str) -> Json:
    # The model holds plain text, and Envoy reads a percent sign as the start of an operator.
    value = pair[1].replace("%", "%%")
    return {"header": {"key": pair[0], "value": value}, "append_action": action}
