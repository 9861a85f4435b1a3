"""What a VirtualService does with a request that it does not send on as it came."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from meshproxy.base.substitute import compile_substitution
from meshproxy.model.route import DirectResponse, Redirect, RegexRewrite, Rewrite
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.string_match import regex_fault

_LARGEST_BODY = 1024 * 1024  # Istio's validation
_LARGE_BODY = 100 * 1024
_STATUSES = (301, 302, 303, 307, 308)  # what Envoy can answer a redirect with


class RedirectRule(NamedTuple):
    """``from_request_port``: the port that was called goes into the answer."""

    redirect: Redirect
    from_request_port: bool = False


def read_redirect(fields: Fields) -> RedirectRule:
    uri, authority = fields.text("uri"), fields.text("authority")
    scheme = fields.choice("scheme", ("http", "https"))
    prefix = fields.text("prefixRewrite")
    port_by = fields.one_of(("port", "derivePort"), "a redirect")
    port = fields.any_port("port")
    derived = fields.choice("derivePort", ("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"))
    if not (uri or authority or scheme or prefix or port_by):
        fields.error(
            "uri", "a redirect must change something", "set uri, authority, scheme or port"
        )
    if uri and prefix:
        fields.error("prefixRewrite", "uri and prefixRewrite can't both be set", "remove one")
    status = _status(fields)
    fields.close()
    redirect = Redirect(
        uri or None, authority or None, scheme or None, port or None, status, prefix or None
    )
    return RedirectRule(redirect, derived == "FROM_REQUEST_PORT")


def _status(fields: Fields) -> int:
    status = fields.integer("redirectCode", 301) or 301
    if not 300 <= status <= 399:
        fields.error("redirectCode", f"{status} is not a redirect", "use 301, 302, 303, 307 or 308")
        return 301
    if status not in _STATUSES:
        fields.warn("redirectCode", f"{status} is not done", "use 301, 302, 303, 307 or 308")
        return 301
    return status


def read_direct_response(fields: Fields) -> DirectResponse:
    status = fields.integer("status")
    if not 200 <= status <= 600:  # 600 as Istio has it
        fields.error("status", f"{status} is not in 200-599")
        status = 503
    body = b""
    if fields.has("body"):
        body = _body(fields.mapping("body"))
    if len(body) > _LARGEST_BODY:
        fields.error("body", f"{len(body)} bytes are more than {_LARGEST_BODY}")
        body = b""
    elif len(body) > _LARGE_BODY:
        fields.warn("body", f"a body of {len(body)} bytes is held in every worker")
    fields.close()
    return DirectResponse(status, body)


def _body(fields: Fields) -> bytes:
    kind = fields.one_of(("string", "bytes"), "a body")
    text = fields.text(kind) if kind else ""
    fields.close()
    if kind != "bytes":
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # Bytes are base64 in a proto's JSON; by hand, plain text is what people write there.
        return text.encode()


def read_rewrite(fields: Fields) -> Rewrite:
    uri, authority = fields.text("uri"), fields.text("authority")
    regex = None
    if fields.has("uriRegexRewrite"):
        regex = _regex_rewrite(fields, uri)
    elif not (uri or authority):
        fields.error("uri", "a rewrite must change something", "set uri or authority")
    fields.close()
    return Rewrite(uri or None, authority or None, regex)


def _regex_rewrite(fields: Fields, uri: str) -> RegexRewrite | None:
    inner = fields.mapping("uriRegexRewrite")
    match, rewrite = inner.text("match"), inner.text("rewrite")
    inner.close()
    if uri:
        fields.error("uriRegexRewrite", "uri and uriRegexRewrite can't both be set", "remove one")
    if not match or not rewrite:
        fields.error("uriRegexRewrite", "needs both match and rewrite")
    elif fault := regex_fault(match):
        inner.error("match", fault, "see github.com/google/re2/wiki/Syntax")
    elif fault := _substitution_fault(match, rewrite):
        inner.error("rewrite", fault, r"write \1 for the first group, \\ for a backslash")
    else:
        return RegexRewrite(match, rewrite)
    return None


def _substitution_fault(match: str, rewrite: str) -> str:
    try:
        compile_substitution(match, rewrite)
    except ValueError as error:
        return str(error)
    return ""
