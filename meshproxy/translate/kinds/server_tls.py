"""Istio `ServerTLSSettings` in a Sidecar's ingress: TLS that a sidecar ends itself."""

from __future__ import annotations

from meshproxy.translate.fields import Fields

_MODES = (
    "PASSTHROUGH",
    "SIMPLE",
    "MUTUAL",
    "AUTO_PASSTHROUGH",
    "ISTIO_MUTUAL",
    "OPTIONAL_MUTUAL",
)
_VERSIONS = ("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")
_FILES = ("serverCertificate", "privateKey", "caCertificates", "caCrl", "caCertCredentialName")
_LISTS = ("cipherSuites", "ecdhCurves", "verifyCertificateHash", "verifyCertificateSpki")
_NOT_HERE = ("credentialName", "credentialNames", "tlsCertificates", "subjectAltNames")


def read_sidecar_tls(fields: Fields) -> str:
    """The mode. Rules: Istio's validation of Sidecar and of `ServerTLSSettings`."""
    mode = fields.choice("mode", _MODES, "PASSTHROUGH")
    if mode in ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH"):
        fields.error("mode", f"{mode} can't be used in a Sidecar", "SIMPLE or MUTUAL")
    for name in _NOT_HERE:
        if fields.has(name):
            fields.error(name, "can't be used in a Sidecar", "name files: serverCertificate, …")
    for pair in fields.mappings("tlsCertificates"):
        for name in _FILES[:3]:
            pair.text(name)
        pair.close()
    if fields.flag("httpsRedirect"):
        fields.error("httpsRedirect", "can't be used in a Sidecar", "remove it")
    _check_files(fields, mode)
    for name in ("minProtocolVersion", "maxProtocolVersion"):
        fields.choice(name, _VERSIONS)
    for name in _LISTS:
        fields.texts(name)
    fields.flag("insecureSkipVerify")
    fields.close()
    return mode


def _check_files(fields: Fields, mode: str) -> None:
    given = {name: fields.text(name) for name in _FILES}
    wanted: tuple[str, ...] = ()
    if mode in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
        wanted = ("serverCertificate", "privateKey")
    if mode in ("MUTUAL", "OPTIONAL_MUTUAL"):
        wanted = (*wanted, "caCertificates")
    for name in wanted:
        if not given[name]:
            fields.error(name, f"is required for {mode}", "name the file")
    if mode == "SIMPLE" and given["caCrl"]:
        fields.error("caCrl", "means nothing with SIMPLE", "remove it")
