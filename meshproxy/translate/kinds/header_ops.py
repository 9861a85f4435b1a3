"""Edits of headers (Istio `Headers`), and names and values that a header may have."""

from __future__ import annotations

import re
from typing import NamedTuple

from meshproxy.model.route import NO_OPS, HeaderOps
from meshproxy.translate.fields import Fields
from meshproxy.translate.problems import UNSUPPORTED, Path

_NAME = re.compile(r"[-_A-Za-z0-9]+\Z")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# Envoy's command operators: %%, or %NAME%, %NAME(X)%, %NAME(X?Y):Z%, %START_TIME(%Y)%.
_OPERATOR = re.compile(r"%(?:%|[A-Za-z_]+(?:\((?:[^()]|\([^()]*\))*\))?(?::\d+)?%)")


class HeaderEdits(NamedTuple):
    """Edits of both directions; ``authority`` is what a set of Host or :authority asks for."""

    request: HeaderOps = NO_OPS
    response: HeaderOps = NO_OPS
    authority: str = ""


NO_EDITS = HeaderEdits()


def is_header_name(text: str) -> bool:
    return _NAME.match(text) is not None


def read_headers(fields: Fields) -> HeaderEdits:
    """The field ``headers`` of a route or a destination."""
    if not fields.has("headers"):
        return NO_EDITS
    headers = fields.mapping("headers")
    request, response = headers.mapping("request"), headers.mapping("response")
    headers.close()
    authority = _authority(request)
    return HeaderEdits(_read_ops(request, True), _read_ops(response, False), authority)


def _authority(request: Fields) -> str:
    """Setting Host is a rewrite of the authority, and can be done once (Istio validation)."""
    given = [
        (name, key, value)
        for name in ("set", "add")
        for key, value in request.words(name).items()
        if _is_authority(key)
    ]
    for name, key, _ in given[1:]:
        request.report.error((*request.path, name, key), "the authority is set twice")
    return given[0][2] if given else ""


def _read_ops(fields: Fields, request: bool) -> HeaderOps:
    set_, add = _pairs(fields, "set", request), _pairs(fields, "add", request)
    remove = []
    for at, name in enumerate(fields.texts("remove")):
        if _check_name(fields, (*fields.path, "remove", at), name, False):
            remove.append(name)
    fields.close()
    return HeaderOps(set_, add, tuple(remove)) if set_ or add or remove else NO_OPS


def _pairs(fields: Fields, name: str, request: bool) -> tuple[tuple[str, str], ...]:
    found = []
    for key, value in fields.words(name).items():
        path = (*fields.path, name, key)
        if _check_name(fields, path, key, request) and not _is_authority(key):
            found.append((key, _checked_value(fields, path, value)))
    return tuple(found)


def _check_name(fields: Fields, path: Path, name: str, request: bool) -> bool:
    if not name:
        fields.report.error(path, "a header's name can't be empty")
        return False
    if _is_authority(name):
        if not request:
            fields.report.error(path, f"{name} can't be changed here")
        return request
    if name.startswith(":"):
        fields.report.error(path, f"{name} is a pseudo-header and can't be changed")
        return False
    if not is_header_name(name):
        fields.report.error(path, f"{name!r} is not a header's name")
        return False
    return True


def _is_authority(name: str) -> bool:
    return name.lower() in (":authority", "host")


def _checked_value(fields: Fields, path: Path, value: str) -> str:
    """The value with ``%%`` as one percent sign; Envoy's operators are not worked out here."""
    if _BAD_VALUE.search(value):
        fields.report.error(path, "a header's value can't hold control characters")
        return ""
    if "%" not in value:
        return value
    if "%" in _OPERATOR.sub("", value):
        fields.report.error(path, f"a lone % in {value!r}", "write %% for a percent sign")
        return ""
    if any(found != "%%" for found in _OPERATOR.findall(value)):
        fields.report.warn(
            path, "operators are not worked out in this build: sent as written", "", UNSUPPORTED
        )
        return value
    return value.replace("%%", "%")
