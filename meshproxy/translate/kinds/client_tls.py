"""Istio `ClientTLSSettings`: TLS towards a destination."""

from __future__ import annotations

from dataclasses import dataclass

from meshproxy.translate.fields import Fields
from meshproxy.translate.problems import Path

MODES = ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")
_FILES = ("clientCertificate", "privateKey", "caCertificates", "caCrl")
_SYSTEM = "system"  # Istio's word for the roots of the operating system, which is also the default
# A Secret may be named as a URI (Istio `pilot/pkg/credentials`); of these only one kind is read.
_KUBERNETES = "kubernetes://"


@dataclass(frozen=True, slots=True)
class ClientTls:
    """``certificate``, ``key``, ``roots`` and ``crl`` are paths of files. "" and (): not given.

    ``credential`` is the name of a Secret, ``path`` where these settings stand in their object.
    """

    mode: str = "DISABLE"
    sni: str = ""
    names: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    roots: str = ""
    crl: str = ""
    credential: str = ""
    verify: bool = True
    path: Path = ()


def read_client_tls(fields: Fields) -> ClientTls:
    """Rules: Istio's `ValidateTLS`. What a mode does not use is warned about and left out."""
    mode = fields.choice("mode", MODES, "DISABLE")
    given = {name: fields.text(name) for name in (*_FILES, "credentialName", "sni")}
    names = fields.texts("subjectAltNames")
    skip = fields.flag("insecureSkipVerify")
    if skip:
        _check_unverified(fields, mode, given, bool(names))
    if mode in ("SIMPLE", "MUTUAL") and given["credentialName"]:
        for name in _FILES:
            if given[name]:
                fields.error(name, "can't stand beside credentialName", "remove one of them")
    elif mode == "MUTUAL":
        for name in ("clientCertificate", "privateKey"):
            if not given[name]:
                fields.error(name, "is required for MUTUAL", "name the file")
    unused = _unused(mode)
    for name in unused:
        if fields.raw(name):
            fields.warn(name, f"has no effect with mode {mode}", "remove it")
            given[name] = ""
    fields.close()
    roots = given["caCertificates"]
    return ClientTls(
        mode,
        given["sni"],
        () if "subjectAltNames" in unused else names,
        given["clientCertificate"],
        given["privateKey"],
        "" if roots == _SYSTEM else roots,
        given["caCrl"],
        _credential(fields, given["credentialName"]),
        not skip or "insecureSkipVerify" in unused,
        fields.path,
    )


def _unused(mode: str) -> tuple[str, ...]:
    match mode:
        case "DISABLE":
            return (*_FILES, "credentialName", "sni", "subjectAltNames", "insecureSkipVerify")
        case "ISTIO_MUTUAL":
            return (*_FILES, "credentialName", "insecureSkipVerify")
        case "SIMPLE":
            return ("clientCertificate", "privateKey")
    return ()


def _credential(fields: Fields, name: str) -> str:
    name = name.removeprefix(_KUBERNETES)
    if "://" in name:
        fields.later("credentialName")
    return name


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
