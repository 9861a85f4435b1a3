"""What the fields of a rule ask for, and where it is found.

Sources and operations are short forms of conditions (Istio `pilot/pkg/security/authz/model`):
``principals`` asks what ``source.principal`` asks.
"""

from __future__ import annotations

from enum import Enum

from meshproxy.record import Record
from meshproxy.wire.heads import RequestHead

SCHEME = "spiffe://"


class Attribute(Enum):
    """Something that is known of a caller, a connection or a request."""

    PRINCIPAL = "principal"
    NAMESPACE = "namespace"
    ACCOUNT = "service account"
    TRUST_DOMAIN = "trust domain"
    SOURCE_IP = "source address"
    REMOTE_IP = "remote address"
    DESTINATION_IP = "destination address"
    PORT = "destination port"
    SNI = "server name"
    HOST = "host"
    METHOD = "method"
    PATH = "path"
    HEADER = "header"
    TOKEN = "request token"  # nothing in this build verifies any, so there never is one
    METADATA = "metadata"  # Envoy's, of its filters: what it would say is not known


_BY_FIELD = {
    "principals": Attribute.PRINCIPAL,
    "source.principal": Attribute.PRINCIPAL,
    "namespaces": Attribute.NAMESPACE,
    "source.namespace": Attribute.NAMESPACE,
    "serviceAccounts": Attribute.ACCOUNT,
    "source.serviceAccount": Attribute.ACCOUNT,
    "trustDomains": Attribute.TRUST_DOMAIN,
    "source.trustDomain": Attribute.TRUST_DOMAIN,
    "ipBlocks": Attribute.SOURCE_IP,
    "source.ip": Attribute.SOURCE_IP,
    "remoteIpBlocks": Attribute.REMOTE_IP,
    "remote.ip": Attribute.REMOTE_IP,
    "requestPrincipals": Attribute.TOKEN,
    "hosts": Attribute.HOST,
    "methods": Attribute.METHOD,
    "paths": Attribute.PATH,
    "ports": Attribute.PORT,
    "destination.port": Attribute.PORT,
    "destination.ip": Attribute.DESTINATION_IP,
    "connection.sni": Attribute.SNI,
}
HTTP_ONLY = frozenset(
    {Attribute.HOST, Attribute.METHOD, Attribute.PATH, Attribute.HEADER, Attribute.TOKEN}
)
BY_IDENTITY = frozenset(
    {Attribute.PRINCIPAL, Attribute.NAMESPACE, Attribute.ACCOUNT, Attribute.TRUST_DOMAIN}
)


def attribute_of(field: str) -> Attribute:
    """The attribute that a field of a source, of an operation, or a condition's key asks for."""
    found = _BY_FIELD.get(field)
    if found is not None:
        return found
    if field.startswith("request.headers["):
        return Attribute.HEADER
    if field.startswith("request.auth."):
        return Attribute.TOKEN
    if field.startswith("experimental."):
        return Attribute.METADATA
    raise ValueError(f"{field!r} is not an attribute")


def header_of(field: str) -> str:
    """The lower-cased name in ``request.headers[NAME]``."""
    return field[len("request.headers[") : -1].lower()


def identity_of(record: Record) -> str:
    """The caller's SPIFFE ID; "" where it showed none."""
    secured = record.secured
    return secured.identity if secured is not None else ""


def server_name_of(record: Record) -> str:
    """The name that the caller's TLS asked for."""
    if record.server_name or record.secured is None:
        return record.server_name
    return record.secured.server_name


def forwarded_ip(head: RequestHead) -> str:
    """What the last entry of ``x-forwarded-for`` says, which need not be an address; "" for none.

    Envoy without ``use_remote_address`` and trusted hops, as Istio's sidecars are set.
    """
    value = head.fields.get(b"x-forwarded-for")
    if value is None:
        return ""
    return value.rpartition(b",")[2].strip(b" \t").decode("latin-1")
