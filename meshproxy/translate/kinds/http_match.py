"""Istio `HTTPMatchRequest`: what a request must look like, and which sidecars the rule is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from meshproxy.model.route import HeaderMatch, MatchKind, RouteMatch, StringMatch
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import check_gateways, check_source
from meshproxy.translate.kinds.header_ops import is_header_name
from meshproxy.translate.kinds.string_match import read_match
from meshproxy.translate.problems import UNSUPPORTED

_CLAIM = "@request.auth.claims"
_PSEUDO = (":method", ":scheme", ":authority", ":path", ":status")  # as Istio's validation
ANY_REQUEST = RouteMatch()


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """``match`` is asked of requests; the rest is settled when a sidecar's routes are made.

    ``ignore_case`` is what was written; the path's match has it where it means something.
    """

    match: RouteMatch = ANY_REQUEST
    name: str = ""
    port: int = 0
    gateways: tuple[str, ...] = ()
    source_labels: Mapping[str, str] = field(default_factory=dict)
    source_namespace: str = ""
    claims: tuple[str, ...] = ()
    ignore_case: bool = False


def read_http_match(fields: Fields) -> HttpMatch:
    labels, namespace = check_source(fields)
    ignore_case = fields.flag("ignoreUriCase")
    path = _one(fields, "uri", empty_prefix=True)
    if path is not None and ignore_case and path.kind is not MatchKind.REGEX:
        path = replace(path, ignore_case=True)  # of regular expressions it is not said (Istio API)
    headers, claims = _headers(fields)
    match = RouteMatch(
        path,
        _one(fields, "method"),
        _one(fields, "authority"),
        _one(fields, "scheme"),
        headers,
        _query(fields),
    )
    found = HttpMatch(
        match,
        fields.text("name"),
        fields.any_port("port"),
        check_gateways(fields),
        labels,
        namespace,
        claims,
        ignore_case,
    )
    fields.later("statPrefix")
    fields.close()
    return found


def _one(fields: Fields, name: str, empty_prefix: bool = False) -> StringMatch | None:
    if not fields.has(name):
        return None
    return read_match(fields.raw(name), fields.at(name), fields.report, empty_prefix=empty_prefix)


def _headers(fields: Fields) -> tuple[tuple[HeaderMatch, ...], tuple[str, ...]]:
    """Header matches, and the names of JWT claims that stand among them."""
    found: list[HeaderMatch] = []
    claims: list[str] = []
    for field_name, invert in (("headers", False), ("withoutHeaders", True)):
        for name, value, path in fields.entries(field_name):
            if name.startswith(_CLAIM):
                claims.append(name)
                fields.report.warn(
                    path, "JWT claims are not matched in this build", "", UNSUPPORTED
                )
            elif not is_header_name(name) and name not in _PSEUDO:
                fields.report.error(path, f"{name!r} is not a header's name")
            match = read_match(value, path, fields.report, star=invert)
            if match is not None and name not in claims:
                found.append(HeaderMatch(name.lower(), match, invert))
    found.sort(key=lambda header: header.name)
    return tuple(found), tuple(claims)


def _query(fields: Fields) -> tuple[HeaderMatch, ...]:
    found = []
    for name, value, path in fields.entries("queryParams"):
        match = read_match(value, path, fields.report)
        if match is not None:
            found.append(HeaderMatch(name, match))
    return tuple(found)
