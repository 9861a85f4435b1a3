"""What a request tells the app of its callers' certificates, where that is not the usual."""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.model.client_cert import DEFAULT, CertDetails, ClientCert, ForwardMode
from meshproxy.record import Secured
from meshproxy.wire.heads import Headers, RequestHead, without

FIELD = b"x-forwarded-client-cert"
_FIELDS = frozenset({FIELD})
TellCaller = Callable[[RequestHead, Headers, Secured | None], Headers]
"""The head as it came, the fields that go on, who called: the fields that go on then."""


def compile_client_cert(wanted: ClientCert) -> TellCaller | None:
    """None: it is the usual, which `serve/headers.py` does by itself.

    Modes are Envoy's (`setXfccRequestHeader`): without a certificate of the caller's nothing is
    believed, but in ALWAYS_FORWARD_ONLY.
    """
    if wanted == DEFAULT:
        return None
    mode, details = wanted.mode, wanted.details
    forwards = mode in (ForwardMode.APPEND_FORWARD, ForwardMode.FORWARD_ONLY)
    sets = mode in (ForwardMode.APPEND_FORWARD, ForwardMode.SANITIZE_SET)
    always = mode is ForwardMode.ALWAYS_FORWARD_ONLY

    def tell(head: RequestHead, headers: Headers, secured: Secured | None) -> Headers:
        known = secured if secured is not None and secured.xfcc else None
        said = head.fields.get(FIELD)
        parts = []
        if said is not None and (always or (forwards and known is not None)):
            parts.append(said)
        if sets and known is not None:
            parts.append(_element(known, details))
        headers = without(headers, _FIELDS)
        if parts:
            headers.append((FIELD, b",".join(parts)))
        return headers

    return tell


def _element(secured: Secured, details: CertDetails) -> bytes:
    return secured.xfcc if secured.tell is None else secured.tell(details)
