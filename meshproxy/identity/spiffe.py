"""SPIFFE IDs (SPIFFE-ID standard, sections 2 and 3): ``spiffe://TRUST-DOMAIN/PATH``.

They are compared as they are written: nothing is decoded, folded or resolved, and whatever could be
written in two ways is refused. So two IDs are the same exactly if their texts are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from meshproxy.identity.errors import IdentityError

SCHEME = "spiffe://"
LONGEST = 2048  # bytes that every implementation must take; more should not be made
LONGEST_TRUST_DOMAIN = 255

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")
_SEGMENT = re.compile(r"[a-zA-Z0-9._-]+")
_ISTIO = re.compile(r"/ns/([^/]+)/sa/([^/]+)")
_RELATIVE = (".", "..")


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """``path`` starts with a slash; it is "" for the ID of a signing authority."""

    trust_domain: str
    path: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"

    @property
    def principal(self) -> str:
        """As Istio's policies write it: without the scheme."""
        return f"{self.trust_domain}{self.path}"

    @property
    def workload(self) -> tuple[str, str] | None:
        """Namespace and service account, if the path has Istio's form."""
        match = _ISTIO.fullmatch(self.path)
        return (match[1], match[2]) if match else None


def parse(text: str) -> SpiffeId:
    """The ID that is written there; `IdentityError` if it is none."""
    if len(text) > LONGEST:
        raise IdentityError(f"a SPIFFE ID has at most {LONGEST} bytes")
    if not text.startswith(SCHEME):
        raise IdentityError(f"{text!r} is no SPIFFE ID: it does not start with {SCHEME}")
    domain, slash, path = text[len(SCHEME) :].partition("/")
    fault = _trust_domain_fault(domain) or (_path_fault(path) if slash else "")
    if fault:
        raise IdentityError(f"{text!r} is no SPIFFE ID: {fault}")
    return SpiffeId(domain, slash + path)


def parse_trust_domain(text: str) -> str:
    """The name of a trust domain; `IdentityError` if it can't be one."""
    fault = _trust_domain_fault(text)
    if fault:
        raise IdentityError(f"{text!r} is no trust domain: {fault}")
    return text


def istio_id(trust_domain: str, namespace: str, service_account: str) -> SpiffeId:
    """The ID that Istio gives a workload."""
    return parse(f"{SCHEME}{trust_domain}/ns/{namespace}/sa/{service_account}")


def _trust_domain_fault(domain: str) -> str:
    if not domain:
        return "the trust domain is empty"
    if len(domain) > LONGEST_TRUST_DOMAIN:
        return f"a trust domain has at most {LONGEST_TRUST_DOMAIN} bytes"
    if not _TRUST_DOMAIN.fullmatch(domain):
        return "a trust domain has only a-z, 0-9, dot, dash and underscore"
    return ""


def _path_fault(path: str) -> str:
    for segment in path.split("/"):
        if not segment:
            return "a segment of the path is empty"
        if segment in _RELATIVE:
            return "a segment of the path is relative"
        if not _SEGMENT.fullmatch(segment):
            return "a path has only letters, digits, dot, dash and underscore"
    return ""
