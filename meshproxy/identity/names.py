"""Distinguished names as text, as OpenSSL writes them with its option RFC2253.

So does Envoy in ``x-forwarded-client-cert`` and in access logs: the last part first, known
attributes by their short names, everything beyond ASCII as escaped bytes.
"""

from __future__ import annotations

from meshproxy.identity import der
from meshproxy.identity.errors import IdentityError

_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.20": "telephoneNumber",
    "2.5.4.41": "name",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.45": "x500UniqueIdentifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
}
_ENCODINGS = {
    der.UTF8: "utf-8",
    der.NUMERIC: "latin-1",
    der.PRINTABLE: "latin-1",
    der.TELETEX: "latin-1",
    der.IA5: "latin-1",
    der.VISIBLE: "latin-1",
    der.UNIVERSAL: "utf-32-be",
    der.BMP: "utf-16-be",
}
_ESCAPED = frozenset(',+"\\<>;')


def distinguished_name(content: bytes) -> str:
    """The content of a ``Name`` as text; "" if it is empty."""
    parts: list[tuple[str, str]] = []  # what stands before it, and the part
    outer = der.Reader(content)
    while outer:
        part = outer.enter(der.SET)
        before = ","
        while part:
            pair = part.enter()
            parts.append((before, _attribute(pair)))
            before = "+"
    # Backwards: what stood before a part now follows it.
    text = "".join(part + before for before, part in reversed(parts))
    return text[:-1]


def _attribute(pair: der.Reader) -> str:
    kind = der.oid(pair.take(der.OID))
    tag, value = pair.any()
    pair.end()
    name = _SHORT.get(kind)
    encoding = _ENCODINGS.get(tag)
    if name is None or encoding is None:
        return f"{name or kind}=#{_whole(tag, value).hex().upper()}"
    try:
        return f"{name}={_escape(value.decode(encoding))}"
    except UnicodeError:
        raise IdentityError(f"the certificate has a {name} that is no text") from None


def _escape(text: str) -> str:
    """OpenSSL's rules, with its habit of leaving a ``#`` alone where it is the whole text."""
    shown: list[str] = []
    last = len(text) - 1
    for at, char in enumerate(text):
        if " " <= char <= "~":
            outside = (char == " " and at in (0, last)) or (char == "#" and at == 0 < last)
            shown.append(f"\\{char}" if outside or char in _ESCAPED else char)
        else:
            shown += [f"\\{byte:02X}" for byte in char.encode()]
    return "".join(shown)


def _whole(tag: int, value: bytes) -> bytes:
    """A value as it stood there, with tag and length."""
    size = len(value)
    if size < 0x80:
        return bytes((tag, size)) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + value
