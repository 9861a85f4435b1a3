"""Hosts, matches, splits and what is done with a request that matches."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from meshproxy.model.origin import BUILT_IN, Origin


class MatchKind(Enum):
    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class StringMatch:
    """How a text must look. ``REGEX`` has to match the whole text, as RE2 does for Istio."""

    kind: MatchKind
    value: str = ""
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """``name`` is in lower case, of a request's pseudo-headers as HTTP/2 has them (``:path``).

    ``invert``: the request must not match; then a header that is missing counts as an empty one,
    unless its presence is asked for (Istio's ``withoutHeaders``).
    """

    name: str
    match: StringMatch
    invert: bool = False


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """Everything here must hold. ``None`` and empty mean "not asked".

    ``path`` looks at the path without the query; ``prefix`` is a plain string prefix.
    """

    path: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    scheme: StringMatch | None = None
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[HeaderMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderOps:
    """Edits of one direction's headers, applied in the order remove, set, add."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.set or self.add or self.remove)


NO_OPS = HeaderOps()


@dataclass(frozen=True, slots=True)
class WeightedCluster:
    """One destination of a split. A weight of 0 gets nothing, unless it is the only one.

    ``authority`` is the Host that it is sent, where the route as a whole rewrites none.
    """

    cluster: str
    weight: int = 1
    request_headers: HeaderOps = NO_OPS
    response_headers: HeaderOps = NO_OPS
    authority: str = ""


@dataclass(frozen=True, slots=True)
class RegexRewrite:
    """Every match of ``pattern`` (RE2) in the path becomes ``substitution``, where ``\\1`` is the
    first group, ``\\0`` all of the match and ``\\\\`` a backslash."""

    pattern: str
    substitution: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``uri`` replaces the matched prefix, or the whole path of an exact or regex match.

    ``regex`` is what is done to the path instead.
    """

    uri: str | None = None
    authority: str | None = None
    regex: RegexRewrite | None = None


@dataclass(frozen=True, slots=True)
class Cors:
    """Which other origins' pages may ask (Envoy `CorsPolicy`; Fetch standard, "CORS protocol").

    ``methods``, ``headers`` and ``expose`` are values of headers, "" for none; ``*`` as methods or
    headers grants whatever a preflight asks for. ``max_age`` is in seconds, "" for none.
    ``forward_unmatched``: preflights of other origins are the upstream's to answer.
    """

    origins: tuple[StringMatch, ...] = ()
    methods: str = ""
    headers: str = ""
    expose: str = ""
    max_age: str = ""
    credentials: bool = False
    forward_unmatched: bool = True


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the request on. ``timeout`` 0 means none; it counts from the end of the request."""

    clusters: tuple[WeightedCluster, ...]
    rewrite: Rewrite | None = None
    timeout: float = 0.0
    cors: Cors | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """Answer with a redirect. ``None`` keeps that part of the request's own URL.

    ``uri`` is the new path, ``prefix`` what comes in the place of the matched prefix.
    """

    uri: str | None = None
    authority: str | None = None
    scheme: str | None = None
    port: int | None = None
    status: int = 301
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """Answer from here."""

    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Route:
    """One rule. The first in declared order whose match holds decides."""

    match: RouteMatch
    action: Forward | Redirect | DirectResponse
    name: str = "default"
    request_headers: HeaderOps = NO_OPS
    response_headers: HeaderOps = NO_OPS
    origin: Origin = field(default=BUILT_IN, compare=False)


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """The rules for some host names.

    ``domains`` are lower case and without port: exact names, ``*.suffix``, or ``*``.
    """

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
    origin: Origin = field(default=BUILT_IN, compare=False)


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """A table of hosts that a listener refers to by name: ``hosts`` are keys of `Snapshot.hosts`.

    A host that is in no domain goes to the `fallback` of the snapshot's outbound policy.
    ``by_port``: the domains end in ``:PORT``, and a request's Host picks by its port too.
    """

    name: str
    hosts: tuple[str, ...]
    by_port: bool = False


@dataclass(frozen=True, slots=True)
class TcpRoute:
    """Where a connection goes that is not HTTP, or is not to be read as HTTP.

    As a rule of a chain: ``subnets`` are where it must have been going, ``sni`` the names (lower
    case, or ``*.suffix``) of which its TLS must ask for one. Empty: not asked.
    """

    clusters: tuple[WeightedCluster, ...]
    origin: Origin = field(default=BUILT_IN, compare=False)
    subnets: tuple[str, ...] = ()
    sni: tuple[str, ...] = ()
