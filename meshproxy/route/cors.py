"""Cross-origin requests: what a browser is granted, as Envoy's CORS filter grants it.

A *preflight* (OPTIONS with ``Origin`` and ``Access-Control-Request-Method``) is answered from here;
other requests go on, and their answers, local ones too, say which origin may read them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from meshproxy.model.route import Cors
from meshproxy.route.match import compile_test, reference_test
from meshproxy.wire.heads import Headers, RequestHead

_ALLOW_ORIGIN = b"access-control-allow-origin"
_ALLOW_CREDENTIALS = b"access-control-allow-credentials"
_ALLOW_METHODS = b"access-control-allow-methods"
_ALLOW_HEADERS = b"access-control-allow-headers"
_EXPOSE_HEADERS = b"access-control-expose-headers"
_MAX_AGE = b"access-control-max-age"
_REQUEST_METHOD = b"access-control-request-method"
_REQUEST_HEADERS = b"access-control-request-headers"


class Grant(NamedTuple):
    """``answered``: the request is a preflight, and these are all of its answer's headers.

    Otherwise they are set on the answer, in the place of those of the same name.
    """

    headers: Headers
    answered: bool = False


Judge = Callable[[RequestHead], Grant | None]
"""None: the request is none that CORS has a say in."""


def compile_cors(cors: Cors) -> Judge:
    tests = [compile_test(origin) for origin in cors.origins]
    any_origin = any(test(b"*") for test in tests)
    granted = _pairs((_ALLOW_CREDENTIALS, "true" if cors.credentials else ""))
    exposed = [*granted, *_pairs((_EXPOSE_HEADERS, cors.expose))]
    max_age = _pairs((_MAX_AGE, cors.max_age))
    methods, headers = cors.methods.encode(), cors.headers.encode()
    forward_unmatched = cors.forward_unmatched

    def judge(head: RequestHead) -> Grant | None:
        fields = head.fields
        origin = fields.get(b"origin")
        if not origin:
            return None
        allowed = any_origin or any(test(origin) for test in tests)
        own: Headers = [(_ALLOW_ORIGIN, origin)] if allowed else []
        method = fields.get(_REQUEST_METHOD) if head.method == b"OPTIONS" else None
        if method and (allowed or not forward_unmatched):
            own += granted
            own += _wish(_ALLOW_METHODS, methods, method)
            own += _wish(_ALLOW_HEADERS, headers, fields.get(_REQUEST_HEADERS, b""))
            return Grant(own + max_age, True)
        return Grant(own + exposed) if allowed else None

    return judge


def _pairs(*given: tuple[bytes, str]) -> Headers:
    return [(name, value.encode()) for name, value in given if value]


def _wish(name: bytes, granted: bytes, asked: bytes) -> Headers:
    """What is granted; ``*`` is whatever was asked for."""
    if not granted:
        return []
    return [(name, asked if granted == b"*" else granted)]


def reference_cors(cors: Cors, head: RequestHead) -> Grant | None:
    """What `compile_cors` must answer, said plainly."""
    origin = head.fields.get(b"origin", b"")
    asked_method = head.fields.get(_REQUEST_METHOD, b"")
    asked_headers = head.fields.get(_REQUEST_HEADERS, b"")
    allowed = any(
        reference_test(match, b"*") or reference_test(match, origin) for match in cors.origins
    )
    preflight = head.method == b"OPTIONS" and asked_method
    if not origin or (not allowed and not (preflight and not cors.forward_unmatched)):
        return None
    found = {
        _ALLOW_ORIGIN: origin if allowed else b"",
        _ALLOW_CREDENTIALS: b"true" if cors.credentials else b"",
    }
    if preflight:
        methods, headers = cors.methods.encode(), cors.headers.encode()
        found[_ALLOW_METHODS] = asked_method if methods == b"*" else methods
        found[_ALLOW_HEADERS] = asked_headers if headers == b"*" else headers
        found[_MAX_AGE] = cors.max_age.encode()
    else:
        found[_EXPOSE_HEADERS] = cors.expose.encode()
    wildcard = cors.headers == "*"
    return Grant(
        [
            (name, value)
            for name, value in found.items()
            if value or (preflight and name == _ALLOW_HEADERS and wildcard)
        ],
        bool(preflight),
    )
