"""What a route changes in a request and its answer: path, headers, and redirects."""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.base.substitute import compile_substitution
from meshproxy.model.route import HeaderOps, MatchKind, Redirect, Rewrite, RouteMatch
from meshproxy.wire.heads import Headers, RequestHead
from meshproxy.wire.values import path_only, scheme_of

PathRewrite = Callable[[bytes], bytes]
HeaderEdit = Callable[[Headers], Headers]


def compile_rewrite(match: RouteMatch, rewrite: Rewrite) -> PathRewrite | None:
    """What a rewrite does to a path; None where it leaves it alone."""
    if rewrite.regex is not None:
        return _on_path_alone(
            compile_substitution(rewrite.regex.pattern, rewrite.regex.substitution)
        )
    return None if rewrite.uri is None else compile_path_rewrite(match, rewrite.uri)


def _on_path_alone(change: PathRewrite) -> PathRewrite:
    """The same for a target with a query, which stays as it is."""

    def rewrite(target: bytes) -> bytes:
        path = path_only(target)
        return change(path) + target[len(path) :]

    return rewrite


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

    Within a layer: remove, then set (replaces all of that name; the last one of a name counts),
    then add. None if nothing is done.
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
    last = {name.lower(): (name, value) for name, value in ops.set}
    new = [(name.encode(), value.encode()) for name, value in (*last.values(), *ops.add)]

    def edit(headers: Headers) -> Headers:
        return [pair for pair in headers if pair[0].lower() not in gone] + new

    return edit


def compile_redirect(match: RouteMatch, redirect: Redirect) -> Callable[[RequestHead], bytes]:
    """The Location of a redirect (Istio `HTTPRedirect`): what is not set stays as it was asked.

    The query stays, unless a new path brings its own (Envoy `path_redirect`).
    """
    authority = None if redirect.authority is None else redirect.authority.encode()
    scheme = redirect.scheme.encode() if redirect.scheme else None
    port = None if redirect.port is None else b":%d" % redirect.port
    new_path = _new_path(match, redirect)

    def location(head: RequestHead) -> bytes:
        asked = scheme_of(head)
        if authority is not None:
            host = authority if port is None else split_port(authority)[0]
        else:
            host, old = split_port(head.authority)
            if port is None and not (scheme not in (None, asked) and old == _OWN_PORTS.get(asked)):
                host += old  # but a port that only meant the old scheme is none of the new one's
        return (scheme or asked) + b"://" + host + (port or b"") + new_path(head.path)

    return location


_OWN_PORTS = {b"http": b":80", b"https": b":443"}


def _new_path(match: RouteMatch, redirect: Redirect) -> PathRewrite:
    if redirect.prefix is not None:
        return compile_path_rewrite(match, redirect.prefix)
    if redirect.uri is None:
        return lambda target: target
    uri = redirect.uri.encode()
    return (lambda target: uri) if b"?" in uri else _on_path_alone(lambda path: uri)


def split_port(authority: bytes) -> tuple[bytes, bytes]:
    """``shop:80`` → ``shop`` and ``:80``; an IPv6 address is in brackets."""
    at = authority.rfind(b":")
    return (authority, b"") if at <= authority.rfind(b"]") else (authority[:at], authority[at:])
