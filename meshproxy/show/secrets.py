"""Certificates as Envoy and Istio show them: ``/certs``, the dump's section, istioctl's table.

Keys don't come here: a `Material` has none, and where Envoy's messages have a field for one stands
"[redacted]", as with Envoy.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from meshproxy.identity.x509 import Certificate
from meshproxy.model.secret import WORKLOAD, SecretRef
from meshproxy.show.shape import Json, typed, without_empty

_REDACTED = base64.b64encode(b"[redacted]").decode()
_SECRET = "extensions.transport_sockets.tls.v3.Secret"
_CHAIN, _CA = "Cert Chain", "CA"
_DAY = 86400


class Material(NamedTuple):
    """A secret without its key. ``updated`` is when it came, in seconds since the epoch.

    ``places`` says where each part came from; without ``chain_pem`` and ``roots_pem`` the secret is
    wanted and not there.
    """

    ref: SecretRef
    places: SecretRef
    updated: float = 0.0
    chain: tuple[Certificate, ...] = ()
    roots: tuple[Certificate, ...] = ()
    chain_pem: bytes = b""
    roots_pem: bytes = b""


def resource_names(ref: SecretRef) -> tuple[str, str]:
    """What Istio calls the certificate and the roots (its names of SDS resources)."""
    if ref == WORKLOAD:
        return "default", "ROOTCA"
    if ref.credential:
        name = f"kubernetes://{ref.credential}"
        return name, f"{name}-cacert"
    return f"file-cert:{ref.certificate}~{ref.key}", f"file-root:{ref.roots}"


# /certs (envoy.admin.v3.Certificates)


def certs_json(materials: Iterable[Material], now: float) -> Json:
    """All that is in use. Beside Envoy's fields stands how many seconds are left."""
    return {
        "certificates": [
            {
                "ca_cert": _details(each.roots, each.places.roots, now),
                "cert_chain": _details(each.chain, each.places.certificate, now),
            }
            for each in materials
            if each.chain or each.roots
        ]
    }


def _details(certificates: Iterable[Certificate], place: str, now: float) -> list[Json]:
    return [
        {
            "path": place,
            "serial_number": _serial(each),
            "subject_alt_names": [
                *({"uri": name} for name in each.uris),
                *({"dns": name} for name in each.dns_names),
                *({"ip_address": name} for name in each.ip_addresses),
            ],
            # 64-bit numbers are texts in protobuf's JSON; what has expired has no days left.
            "days_until_expiration": str(max(0, int((each.not_after - now) // _DAY))),
            "valid_from": when(each.not_before),
            "expiration_time": when(each.not_after),
            "seconds_until_expiration": int(each.not_after - now),
        }
        for each in certificates
    ]


def _serial(certificate: Certificate) -> str:
    """Hexadecimal, in whole bytes."""
    text = f"{certificate.serial:x}"
    return f"0{text}" if len(text) % 2 and not text.startswith("-") else text


def when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# /config_dump (envoy.admin.v3.SecretsConfigDump)


def secrets_section(materials: Iterable[Material], version: str) -> Json:
    """The dump's section, without its type: what is in use, and what is waited for."""
    active: list[Json] = []
    warming: list[Json] = []
    for each in materials:
        chain_name, roots_name = resource_names(each.ref)
        if each.chain_pem or each.roots_pem:
            updated = when(each.updated)
            if each.chain_pem:
                active.append(_entry(chain_name, version, updated, _tls_certificate(each)))
            if each.roots_pem:
                active.append(_entry(roots_name, version, updated, _validation_context(each)))
            continue
        only_roots = each.ref.roots and not each.ref.certificate
        warming.append({"name": roots_name if only_roots else chain_name, "version_info": ""})
    return without_empty({"dynamic_active_secrets": active, "dynamic_warming_secrets": warming})


def _entry(name: str, version: str, updated: str, body: Mapping[str, Json]) -> Json:
    return {
        "name": name,
        "version_info": version,
        "last_updated": updated,
        "secret": typed(_SECRET, {"name": name, **body}),
    }


def _tls_certificate(material: Material) -> Json:
    return {
        "tls_certificate": {
            "certificate_chain": _inline(material.chain_pem),
            "private_key": {"inline_bytes": _REDACTED},
        }
    }


def _validation_context(material: Material) -> Json:
    return {"validation_context": {"trusted_ca": _inline(material.roots_pem)}}


def _inline(pem: bytes) -> Json:
    return {"inline_bytes": base64.b64encode(pem).decode()}


# `istioctl proxy-config secret`
