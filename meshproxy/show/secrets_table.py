"""The table of `meshproxy proxy-config secrets`, as istioctl's.

Apart from the shapes, which the sidecar itself makes: it draws no tables.
"""

from __future__ import annotations

import base64

from meshproxy.identity.pem import CERTIFICATE, blocks
from meshproxy.identity.x509 import read_certificate
from meshproxy.show.reading import Dump
from meshproxy.show.secrets import when
from meshproxy.show.shape import Json
from meshproxy.show.tables import Row, Table, Wanted

_CHAIN, _CA = "Cert Chain", "CA"


def _parts(dump: Dump, wanted: Wanted) -> list[Json]:
    return [each for each in dump.secrets() if wanted.name in ("", each.get("name"))]


def secrets_table(now: float) -> Table:
    """The table as of a time, in seconds since the epoch."""
    return Table(_HEAD, _parts, lambda entry, wanted: [_row(entry, now)])


def _row(entry: Json, now: float) -> Row:
    """Of a chain the leaf, of roots the first, as istioctl shows them."""
    name, secret = entry.get("name", ""), entry.get("secret")
    if not secret:
        kind = _CA if name.startswith(("ROOTCA", "file-root:")) else _CHAIN
        return (name, kind, "WARMING", "false", "", "", "")
    if "validation_context" in secret:
        kind, holder = _CA, secret["validation_context"].get("trusted_ca", {})
    else:
        kind = _CHAIN
        holder = secret.get("tls_certificate", {}).get("certificate_chain", {})
    try:
        pem = base64.b64decode(holder.get("inline_bytes", ""))
        first = read_certificate(blocks(pem, CERTIFICATE)[0])
    except (ValueError, IndexError):  # an `IdentityError` among them
        return (name, kind, "ACTIVE", "false", "", "", "")
    valid = "true" if first.not_before <= now < first.not_after else "false"
    times = (when(first.not_after), when(first.not_before))
    return (name, kind, "ACTIVE", valid, f"{first.serial:x}", *times)


_HEAD = (
    "RESOURCE NAME",
    "TYPE",
    "STATUS",
    "VALID CERT",
    "SERIAL NUMBER",
    "NOT AFTER",
    "NOT BEFORE",
)
