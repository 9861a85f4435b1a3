"""Versions, ciphers and curves of TLS, as MeshConfig and `ServerTLSSettings` name them.

Nothing below TLS 1.2 is spoken, and nothing in it but AEAD with forward secrecy: a list can narrow
that down, and what it has beyond is named and left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshproxy.model.tls import TlsParameters, TlsVersion
from meshproxy.translate.fields import Fields
from meshproxy.translate.problems import UNSUPPORTED

# Of Envoy's, by OpenSSL's names, which are theirs too.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
_CURVES = {"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1"}
_VERSIONS = {"TLSV1_2": TlsVersion.V1_2, "TLSV1_3": TlsVersion.V1_3}
_OLD = ("TLSV1_0", "TLSV1_1")
_AUTO = "TLS_AUTO"


def read_parameters(fields: Fields, bounded: bool = False) -> TlsParameters:
    """``minProtocolVersion``, ``cipherSuites``, ``ecdhCurves``, and if there is such a field
    (``bounded``), ``maxProtocolVersion``."""
    least = read_least(fields)
    most = _read_most(fields) if bounded else None
    if least is TlsVersion.V1_3 and most is TlsVersion.V1_2:
        fields.error("maxProtocolVersion", "is below minProtocolVersion", "remove one of them")
    return TlsParameters(least, most, _read_ciphers(fields), _read_curve(fields))


def read_least(fields: Fields) -> TlsVersion | None:
    version = fields.choice("minProtocolVersion", (_AUTO, *_OLD, *_VERSIONS), _AUTO)
    if version in _OLD:
        fields.warn("minProtocolVersion", "nothing below TLS 1.2 is spoken", "", UNSUPPORTED)
    return _VERSIONS.get(version)


def _read_most(fields: Fields) -> TlsVersion | None:
    version = fields.choice("maxProtocolVersion", (_AUTO, *_OLD, *_VERSIONS), _AUTO)
    if version in _OLD:
        fields.error("maxProtocolVersion", "nothing below TLS 1.2 is spoken", "TLSV1_2 or TLSV1_3")
    return _VERSIONS.get(version)


def _read_ciphers(fields: Fields) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for at, name in enumerate(_each(fields.texts("cipherSuites"))):
        if name in CIPHERS:
            found[name] = None
            continue
        text = "is not one that is spoken: AEAD with forward secrecy alone"
        if name.startswith("TLS_"):
            text = "is of TLS 1.3, whose ciphers are all safe and can't be chosen"
        path = (*fields.at("cipherSuites"), at)
        fields.report.warn(path, f"{name} {text}", f"one of {', '.join(CIPHERS)}", UNSUPPORTED)
    if fields.raw("cipherSuites") and not found:
        text = "none of them is spoken"
        fields.error("cipherSuites", text, "name a safe one, or minProtocolVersion: TLSV1_3")
    return tuple(found)


def _each(names: tuple[str, ...]) -> Iterator[str]:
    """Envoy's ``[A|B]`` are two that it likes as much."""
    for name in names:
        yield from name.strip("[]").split("|")


def _read_curve(fields: Fields) -> str:
    """OpenSSL's name. Python can have the library take one curve, or choose among its own."""
    names = fields.texts("ecdhCurves")
    if not names:
        return ""
    if len(names) > 1 or names[0] not in _CURVES:
        text = "has no effect: one of its own can be chosen, else OpenSSL agrees on one"
        fields.warn("ecdhCurves", text, f"one of {', '.join(_CURVES)}", UNSUPPORTED)
        return ""
    return _CURVES[names[0]]
