"""``v1`` Secret: a certificate, its key and roots, under the names that Istio knows.

No finding quotes a value, and of the metadata only the name is kept: annotations may hold the whole
object as it was last applied.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass

from meshproxy.model.secret import Secret
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.meta import Meta

# Those of kubernetes.io/tls, then those of a generic Secret (Istio `pkg/credentials/kube`).
_CERTIFICATE = ("tls.crt", "cert")
_KEY = ("tls.key", "key")
_ROOTS = ("ca.crt", "cacert")
_CRL = ("ca.crl", "crl")
_KNOWN = (*_CERTIFICATE, *_KEY, *_ROOTS, *_CRL)
_PEM = b"-----BEGIN "


@dataclass(frozen=True, slots=True, repr=False)
class SecretObject:
    meta: Meta
    secret: Secret


def read_secret(top: Fields, meta: Meta) -> SecretObject | None:
    """None for a Secret that holds something else."""
    found: dict[str, bytes] = {}
    for name in ("data", "stringData"):
        _read(top, name, found)
    if not found:
        return None
    secret = Secret(
        _first(found, _CERTIFICATE),
        _first(found, _KEY),
        _first(found, _ROOTS),
        _first(found, _CRL),
    )
    return SecretObject(Meta(meta.kind, meta.namespace, meta.name, created=meta.created), secret)


def _read(top: Fields, name: str, found: dict[str, bytes]) -> None:
    """Of what is in both, ``stringData`` counts (Kubernetes)."""
    given = top.raw(name)
    if given is None:
        return
    if not isinstance(given, dict):
        top.error(name, "must be a mapping")
        return
    for key in _KNOWN:
        value = given.get(key)
        if value is None:
            continue
        path = (*top.at(name), key)
        if not isinstance(value, str):
            top.report.error(path, "must be text", "put it in quotes")
            continue
        content = value.encode() if name == "stringData" else _decoded(value)
        if content is None:
            top.report.error(path, "is not base64", "or write it as it is under stringData")
        elif _PEM not in content:
            top.report.warn(path, "is not PEM and has no effect", "-----BEGIN …")
        else:
            found[key] = content


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _first(found: dict[str, bytes], names: tuple[str, ...]) -> bytes:
    return next((found[name] for name in names if name in found), b"")
