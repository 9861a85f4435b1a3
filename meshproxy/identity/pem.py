"""PEM (RFC 7468): the text form of certificates and lists, cut into DER."""

from __future__ import annotations

import binascii
import re

from meshproxy.identity.errors import IdentityError

CERTIFICATE, CRL = "CERTIFICATE", "X509 CRL"

_LINE = 64  # characters

_BEGIN = re.compile(rb"^-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?$", re.MULTILINE)


def blocks(data: bytes, label: str) -> list[bytes]:
    """The DER bytes of all blocks with this label; `IdentityError` if one is cut off or broken.

    Whatever stands around them is passed over, as everybody does; blocks with other labels too.
    """
    found: list[bytes] = []
    at = 0
    while match := _BEGIN.search(data, at):
        end = b"-----END " + match[1] + b"-----"
        at = data.find(end, match.end())
        if at < 0:
            raise IdentityError(f"ends in the middle of a block ({match[1].decode()})")
        if match[1] == label.encode():
            found.append(_decoded(data[match.end() : at]))
        at += len(end)
    if b"-----BEGIN" in data[at:]:
        raise IdentityError("ends in the middle of a block")
    return found


def pem_text(der: bytes, label: str) -> bytes:
    """One block."""
    text = binascii.b2a_base64(der, newline=False)
    lines = b"\n".join(text[at : at + _LINE] for at in range(0, len(text), _LINE))
    name = label.encode()
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (name, lines, name)


def _decoded(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(b"".join(text.split()), strict_mode=True)
    except binascii.Error:
        raise IdentityError("has a block that is no base64") from None
