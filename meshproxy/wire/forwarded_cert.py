"""The field ``X-Forwarded-Client-Cert``: whose certificate a hop has verified (Envoy, "HTTP header
manipulation").

Elements are separated by commas, the pairs of one by semicolons. Values with any of ``,;=`` or a
quote stand in quotes; the subject always does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meshproxy.model.client_cert import USUAL, CertDetails

_SPECIAL = frozenset(',;="')
# What else stands in PEM needs no escape.
_ESCAPES = str.maketrans({"\n": "%0A", " ": "%20", "+": "%2B", "/": "%2F", "=": "%3D"})


def element(
    own: str,
    digest: str,
    subject: str,
    uris: Sequence[str],
    dns: Iterable[str],
    details: CertDetails = USUAL,
    chain: Sequence[str] = (),
) -> bytes:
    """What is said of a caller: ``By`` and ``Hash``, and of the rest what ``details`` ask for.

    ``chain`` are PEM texts, the caller's own first; needed for ``cert`` and ``chain`` alone.
    """
    pairs = [f"By={_value(own)}"] if own else []
    pairs.append(f"Hash={digest}")
    if details.cert:
        pairs.append(f'Cert="{"".join(chain[:1]).translate(_ESCAPES)}"')
    if details.chain:
        pairs.append(f'Chain="{"".join(chain).translate(_ESCAPES)}"')
    if details.subject:
        pairs.append(f"Subject={_quoted(subject)}")
    if details.uri:
        pairs += [f"URI={_value(uri)}" for uri in uris or ("",)]
    if details.dns:
        pairs += [f"DNS={_value(name)}" for name in dns]
    return ";".join(pairs).encode("utf-8", "replace")


def _value(text: str) -> str:
    return text if _SPECIAL.isdisjoint(text) else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
