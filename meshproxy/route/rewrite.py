"""What a route changes in a request and its answer: path, headers, and redirects."""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.model.route import HeaderOps, MatchKind, Redirect, RouteMatch
from meshproxy.route.match import path_only
from meshproxy.wire.heads import Headers, RequestHead

PathRewrite = Callable[[bytes], bytes]
HeaderEdit = Callable[[Headers], Headers]


def compile_path_rewrite(match: RouteMatch, uri: str) -> PathRewrite:
    """``rewrite.uri``: replaces the matched prefix, else the whole path; the query stays.

    Plain text is replaced by plain text (Envoy `prefix_rewrite`): ``/api`` → ``/`` turns ``/api/x``
    into ``//x``, and ``/api/`` → ``/`` is what was meant.
    """
    new = uri.encode()
    if match.path is None:
        return lambda target: new + target[1:]  # a match without a path is the prefix "/"
    if match.path.kind is not MatchKind.PREFIX:
        return lambda target: new + target[len(path_only(target)) :]
    cut = len(match.path.value.encode())
    return lambda target: new + target[cut:]


def compile_header_ops(*layers: HeaderOps) -> HeaderEdit | None:
    """Header edits, the first layer (the destination's) before the next (the route's).

    Within a layer: remove, then set (replaces all of that name), then add. None if nothing is done.
    """
    steps = [_compile_layer(ops) for ops in layers if ops]
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]

    def edit(headers: Headers) -> Headers:
        for step in steps:
            headers = step(headers)
        return headers

    return edit


def _compile_layer(ops: HeaderOps) -> HeaderEdit:
    gone = frozenset(
        [name.lower().encode() for name in ops.remove]
        + [name.lower().encode() for name, _ in ops.set]
    )
    new = [(name.encode(), value.encode()) for name, value in (*ops.set, *ops.add)]

    def edit(headers: Headers) -> Headers:
        return [pair for pair in headers if pair[0].lower() not in gone] + new

    return edit


def compile_redirect(match: RouteMatch, redirect: Redirect) -> Callable[[RequestHead], bytes]:
    """The Location of a redirect (Istio `HTTPRedirect`): what is not set stays as it was asked."""
    authority = redirect.authority
    scheme = redirect.scheme.encode() if redirect.scheme else None
    uri = redirect.uri
    port = redirect.port

    def location(head: RequestHead) -> bytes:
        host = head.authority if authority is None else authority.encode()
        if port is not None:
            bare = host[: host.find(b"]") + 1] or host.partition(b":")[0]
            host = bare + b":%d" % port
        path = head.path
        if uri is not None:
            # Envoy's path_redirect keeps the query unless the new path brings its own.
            query = b"" if "?" in uri else head.path[len(path_only(head.path)) :]
            path = uri.encode() + query
        return (scheme or head.scheme) + b"://" + host + path

    return location
