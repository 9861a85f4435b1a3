"""What a certificate says (RFC 5280), read from its DER bytes.

Workers read their peers' certificates with this: `cryptography` would cost each of them 9 MB. Only
what decides is read, nothing is believed to be well formed, and signatures are not looked at: the
TLS library has verified the chain before anybody asks here.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from meshproxy.identity import der
from meshproxy.identity.errors import IdentityError
from meshproxy.identity.names import distinguished_name

LARGEST = 64 * 1024  # bytes; a certificate has one or two thousand
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"

_KEY_USAGE = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_KEY_TYPES = {
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.2.840.10045.2.1": "EC",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}
_KEY_USAGE_ID, _ALT_NAMES_ID = "2.5.29.15", "2.5.29.17"
_BASIC_CONSTRAINTS_ID, _EXTENDED_KEY_USAGE_ID = "2.5.29.19", "2.5.29.37"
_DNS_NAME, _URI, _IP = 0x82, 0x86, 0x87  # tags of GeneralName
_VERSION, _ISSUER_ID, _SUBJECT_ID, _EXTENSIONS = 0xA0, 0x81, 0x82, 0xA3


@dataclass(frozen=True, slots=True)
class Certificate:
    """Times are seconds since the epoch; ``subject`` and ``issuer`` are texts in RFC 2253's form.

    ``key_usage`` has the names of RFC 5280 section 4.2.1.3 in lower case with underscores,
    ``extended_key_usage`` object identifiers with dots; None: there is no such extension.
    """

    uris: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    is_ca: bool
    key_usage: frozenset[str] | None
    extended_key_usage: frozenset[str] | None
    not_before: float
    not_after: float
    serial: int
    subject: str
    issuer: str
    key_type: str


def read_certificate(data: bytes) -> Certificate:
    """Read a certificate's DER bytes; `IdentityError`, and nothing else, if they are none."""
    if len(data) > LARGEST:
        raise IdentityError(f"the certificate has more than {LARGEST} bytes")
    whole = der.Reader(data)
    outer = whole.enter()
    whole.end()
    body = outer.enter()
    outer.enter()  # signature algorithm
    outer.take(der.BIT_STRING)
    outer.end()
    return _read_body(body)


def _read_body(body: der.Reader) -> Certificate:
    """``TBSCertificate``, in the order of its fields."""
    body.optional(_VERSION)
    serial = der.integer(body.take(der.INTEGER))
    body.enter()  # signature algorithm
    issuer = distinguished_name(body.take(der.SEQUENCE))
    validity = body.enter()
    not_before, not_after = der.seconds(*validity.any()), der.seconds(*validity.any())
    validity.end()
    subject = distinguished_name(body.take(der.SEQUENCE))
    key = der.oid(body.enter().enter().take(der.OID))
    body.optional(_ISSUER_ID)
    body.optional(_SUBJECT_ID)
    found = _read_extensions(body.optional(_EXTENSIONS))
    body.end()
    names = _alt_names(found.get(_ALT_NAMES_ID))
    return Certificate(
        uris=tuple(der.ascii_text(name) for kind, name in names if kind == _URI),
        dns_names=tuple(der.ascii_text(name) for kind, name in names if kind == _DNS_NAME),
        ip_addresses=tuple(_ip(name) for kind, name in names if kind == _IP),
        is_ca=_is_ca(found.get(_BASIC_CONSTRAINTS_ID)),
        key_usage=_key_usage(found.get(_KEY_USAGE_ID)),
        extended_key_usage=_extended_key_usage(found.get(_EXTENDED_KEY_USAGE_ID)),
        not_before=not_before,
        not_after=not_after,
        serial=serial,
        subject=subject,
        issuer=issuer,
        key_type=_KEY_TYPES.get(key, key),
    )


def _read_extensions(content: bytes | None) -> dict[str, bytes]:
    """Values by object identifier. None may be there twice (RFC 5280 section 4.2)."""
    found: dict[str, bytes] = {}
    if content is None:
        return found
    outer = der.Reader(content)
    extensions = outer.enter()
    outer.end()
    while extensions:
        extension = extensions.enter()
        name = der.oid(extension.take(der.OID))
        der.boolean(extension.optional(der.BOOLEAN))
        if name in found:
            raise IdentityError(f"the certificate has the extension {name} twice")
        found[name] = extension.take(der.OCTET_STRING)
        extension.end()
    return found


def _only(content: bytes) -> der.Reader:
    """The sequence that is an extension's whole value."""
    outer = der.Reader(content)
    inner = outer.enter()
    outer.end()
    return inner


def _alt_names(content: bytes | None) -> list[tuple[int, bytes]]:
    names: list[tuple[int, bytes]] = []
    if content is not None:
        found = _only(content)
        while found:
            names.append(found.any())
    return names


def _ip(packed: bytes) -> str:
    try:
        return str(ip_address(packed))
    except ValueError:
        raise IdentityError("the certificate has an IP address that is none") from None


def _is_ca(content: bytes | None) -> bool:
    if content is None:
        return False
    found = _only(content)
    is_ca = der.boolean(found.optional(der.BOOLEAN))
    found.optional(der.INTEGER)  # longest path
    found.end()
    return is_ca


def _key_usage(content: bytes | None) -> frozenset[str] | None:
    if content is None:
        return None
    outer = der.Reader(content)
    found = der.bits(outer.take(der.BIT_STRING))
    outer.end()
    return frozenset(_KEY_USAGE[number] for number in found if number < len(_KEY_USAGE))


def _extended_key_usage(content: bytes | None) -> frozenset[str] | None:
    if content is None:
        return None
    found = _only(content)
    usages = []
    while found:
        usages.append(der.oid(found.take(der.OID)))
    return frozenset(usages)
