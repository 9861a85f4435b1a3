"""Istio `CorsPolicy`: which other origins' pages may ask a service."""

from __future__ import annotations

from meshproxy.model.route import Cors, MatchKind, StringMatch
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import LEAST_DURATION
from meshproxy.translate.kinds.header_ops import is_header_name
from meshproxy.translate.kinds.string_match import PRESENT, read_match
from meshproxy.translate.problems import did_you_mean

_METHODS = frozenset(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"]
)


def read_cors(fields: Fields) -> Cors:
    methods = fields.texts("allowMethods")
    for at, method in enumerate(methods):
        if method not in _METHODS:
            path = (*fields.at("allowMethods"), at)
            fields.report.error(path, f"{method!r} is not a method", did_you_mean(method, _METHODS))
    age = fields.duration("maxAge", None, LEAST_DURATION)
    if age is not None and age % 1:
        fields.error("maxAge", "is counted in whole seconds")
    unmatched = fields.choice("unmatchedPreflights", ("UNSPECIFIED", "FORWARD", "IGNORE"))
    cors = Cors(
        _origins(fields),
        ",".join(methods),
        _header_names(fields, "allowHeaders"),
        _header_names(fields, "exposeHeaders"),
        "" if age is None else f"{int(age)}",
        fields.flag("allowCredentials"),
        unmatched != "IGNORE",
    )
    fields.close()
    return cors


def _origins(fields: Fields) -> tuple[StringMatch, ...]:
    """``allowOrigins``, or the old ``allowOrigin``, which is only looked at without it."""
    found = []
    for at, origin in enumerate(fields.items("allowOrigins")):
        path = (*fields.at("allowOrigins"), at)
        match = read_match(origin, path, fields.report)
        if match is PRESENT or (match is not None and not match.value):
            fields.report.error(path, "an origin must be matched by something")
        elif match is not None:
            found.append(match)
    old = fields.texts("allowOrigin")
    if old:
        fields.warn("allowOrigin", "is an old field", "use allowOrigins: [{exact: …}]")
    if old and not fields.has("allowOrigins"):
        found = [StringMatch(MatchKind.EXACT, origin) for origin in old]
    return tuple(found)


def _header_names(fields: Fields, name: str) -> str:
    names = fields.texts(name)
    for at, header in enumerate(names):
        if header != "*" and not is_header_name(header):
            fields.report.error((*fields.at(name), at), f"{header!r} is not a header's name")
    return ",".join(names)
