"""The field ``X-Forwarded-Client-Cert``: whose certificate a hop has verified (Envoy, "HTTP header
manipulation").

Elements are separated by commas, the pairs of one by semicolons. Values with any of ``,;=`` or a
quote stand in quotes; the subject always does.
"""

from __future__ import annotations

from collections.abc import Iterable

_SPECIAL = frozenset(',;="')


def element(own: str, digest: str, subject: str, uri: str, dns: Iterable[str]) -> bytes:
    """What Istio's sidecars say of a caller: ``By``, ``Hash``, ``Subject``, ``URI`` and ``DNS``."""
    pairs = [f"By={_value(own)}"] if own else []
    pairs += [f"Hash={digest}", f"Subject={_quoted(subject)}", f"URI={_value(uri)}"]
    pairs += [f"DNS={_value(name)}" for name in dns]
    return ";".join(pairs).encode("utf-8", "replace")


def _value(text: str) -> str:
    return text if _SPECIAL.isdisjoint(text) else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
