"""Istio `ServerTLSSettings` in a Sidecar's ingress: TLS that a sidecar ends itself."""

from __future__ import annotations

from dataclasses import dataclass

from meshproxy.model.tls import ANY, TlsParameters
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.tls_parameters import read_parameters

_MODES = (
    "PASSTHROUGH",
    "SIMPLE",
    "MUTUAL",
    "AUTO_PASSTHROUGH",
    "ISTIO_MUTUAL",
    "OPTIONAL_MUTUAL",
)
_MUTUAL = ("MUTUAL", "OPTIONAL_MUTUAL")
_FILES = ("serverCertificate", "privateKey", "caCertificates", "caCrl")
_NOT_HERE = ("credentialName", "credentialNames", "tlsCertificates", "subjectAltNames")
# Each admits fewer callers, so that nobody may enter while it is not followed.
_NARROWER = ("verifyCertificateHash", "verifyCertificateSpki", "caCertCredentialName")


@dataclass(frozen=True, slots=True)
class ServerTls:
    """``certificate``, ``key``, ``roots`` and ``crl`` are paths of files; "": not given.

    ``refusal``: why it can't be done, so that nobody may enter.
    """

    mode: str
    certificate: str = ""
    key: str = ""
    roots: str = ""
    crl: str = ""
    parameters: TlsParameters = ANY
    refusal: str = ""


def read_sidecar_tls(fields: Fields) -> ServerTls:
    """Rules: Istio's validation of Sidecar and of `ServerTLSSettings`."""
    mode = fields.choice("mode", _MODES, "PASSTHROUGH")
    if mode in ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH"):
        fields.error("mode", f"{mode} can't be used in a Sidecar", "SIMPLE or MUTUAL")
    for name in _NOT_HERE:
        if fields.has(name):
            fields.error(name, "can't be used in a Sidecar", "name files: serverCertificate, …")
    for pair in fields.mappings("tlsCertificates"):
        for name in (*_FILES[:3], "caCertCredentialName"):
            pair.text(name)
        pair.close()
    if fields.flag("httpsRedirect"):
        fields.error("httpsRedirect", "can't be used in a Sidecar", "remove it")
    certificate, key, roots, crl = _read_files(fields, mode)
    parameters = read_parameters(fields, bounded=True)
    refusal = _refusal(fields, mode)
    found = ServerTls(mode, certificate, key, roots, crl, parameters, refusal)
    if fields.flag("insecureSkipVerify") and mode in _MUTUAL:
        fields.warn("insecureSkipVerify", "callers are verified all the same", "remove it")
    fields.close()
    return found


def _read_files(fields: Fields, mode: str) -> list[str]:
    given = {name: fields.text(name) for name in _FILES}
    wanted: tuple[str, ...] = ()
    if mode == "SIMPLE" or mode in _MUTUAL:
        wanted = ("serverCertificate", "privateKey")
    if mode in _MUTUAL:
        wanted = (*wanted, "caCertificates")
    for name in wanted:
        if not given[name]:
            fields.error(name, f"is required for {mode}", "name the file")
    if mode == "SIMPLE" and given["caCrl"]:
        fields.error("caCrl", "means nothing with SIMPLE", "remove it")
    if mode == "SIMPLE" and given["caCertificates"]:
        fields.warn("caCertificates", "has no effect with mode SIMPLE", "remove it, or MUTUAL")
        given["caCertificates"] = ""
    return list(given.values())


def _refusal(fields: Fields, mode: str) -> str:
    refusal = ""
    for name in _NARROWER:
        if fields.texts(name) if name.startswith("verify") else fields.text(name):
            refusal = f"ingress tls {name} is not implemented in this build"
            fields.later(name)
    if mode == "PASSTHROUGH":
        refusal = "ingress tls PASSTHROUGH ends no TLS, and a Sidecar's must"
        fields.warn("mode", "PASSTHROUGH ends no TLS: nobody gets in", "SIMPLE or MUTUAL")
    return refusal
