"""Istio `ClientTLSSettings`: TLS towards a destination."""

from __future__ import annotations

from meshproxy.translate.fields import Fields

MODES = ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")
_FILES = ("clientCertificate", "privateKey", "caCertificates", "caCrl")


def read_client_tls(fields: Fields) -> str:
    """The mode; what else is said is checked, and used once TLS is originated here."""
    mode = fields.choice("mode", MODES, "DISABLE")
    given = {name: fields.text(name) for name in (*_FILES, "credentialName", "sni")}
    names = fields.texts("subjectAltNames")
    if fields.flag("insecureSkipVerify"):
        _check_unverified(fields, mode, given, bool(names))
    if mode in ("SIMPLE", "MUTUAL") and given["credentialName"]:
        for name in _FILES:
            if given[name]:
                fields.error(name, "can't stand beside credentialName", "remove one of them")
    elif mode == "MUTUAL":
        for name in ("clientCertificate", "privateKey"):
            if not given[name]:
                fields.error(name, "is required for MUTUAL", "name the file")
    fields.close()
    return mode


def _check_unverified(fields: Fields, mode: str, given: dict[str, str], names: bool) -> None:
    """What is not verified needs nothing to verify it by (Istio `ValidateTLS`)."""
    moot = {"SIMPLE": ("caCertificates", "credentialName"), "MUTUAL": ("caCertificates",)}
    for name in moot.get(mode, ()):
        if given[name]:
            fields.error(name, "can't stand beside insecureSkipVerify: true", "remove one of them")
    if names and mode in moot:
        fields.error(
            "subjectAltNames", "can't stand beside insecureSkipVerify: true", "remove one of them"
        )
