"""What a list of revoked certificates says of itself (RFC 5280 section 5.1): whose it is, and until
when it holds. Who stands in it is OpenSSL's to know."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from meshproxy.identity import der
from meshproxy.identity.names import distinguished_name


@dataclass(frozen=True, slots=True)
class RevocationList:
    """Times are seconds since the epoch; ``next_update`` may be infinite. ``issuer`` is a text in
    RFC 2253's form."""

    issuer: str
    this_update: float
    next_update: float


def read_list(data: bytes) -> RevocationList:
    """Read a list's DER bytes; `IdentityError` if they are none. Signatures are not looked at."""
    whole = der.Reader(data)
    body = whole.enter().enter()
    body.optional(der.INTEGER)  # version
    body.enter()  # signature algorithm
    issuer = distinguished_name(body.take(der.SEQUENCE))
    this_update = der.seconds(*body.any())
    next_update = inf
    if body.peek() in (der.UTC_TIME, der.GENERALIZED_TIME):
        next_update = der.seconds(*body.any())
    return RevocationList(issuer, this_update, next_update)
