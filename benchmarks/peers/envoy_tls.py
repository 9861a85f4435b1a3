"""TLS in Envoy's words, as Istio's control plane writes them for a sidecar.

The rules are Istio's `pilot/pkg/security/authn/utils/utils.go` (towards callers) and
`pilot/pkg/networking/core/cluster_tls.go` (towards upstreams). Where Istio asks its agent for
secrets, files are named here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
_TYPES = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
_SOCKET = "envoy.transport_sockets.tls"

# What a sidecar offers to another one, and by what it is told from the app's own TLS.
CALLER_ALPN = {
    "http": ("istio-http/1.1", "istio", "http/1.1"),
    "http2": ("istio-h2", "istio", "h2"),
    "tcp": ("istio-peer-exchange", "istio"),
}
HTTP_ALPN = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
TCP_ALPN = ("istio", "istio-peer-exchange")
_OWN_ALPN = {
    "http": ("h2", "http/1.1"),
    "http2": ("h2", "http/1.1"),
    "tcp": ("istio-peer-exchange", "h2", "http/1.1"),
}
_PARAMS = {
    "tls_minimum_protocol_version": "TLSv1_2",
    "tls_maximum_protocol_version": "TLSv1_3",
    "cipher_suites": [
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ],
}


def from_callers(folder: Path, protocol: str, trust_domains: Iterable[str]) -> Json:
    """The transport socket of a filter chain. ``protocol``: http, http2 or tcp."""
    names = [{"prefix": f"spiffe://{domain}/"} for domain in trust_domains]
    common = _common(folder, names, _OWN_ALPN[protocol])
    common["tls_params"] = _PARAMS
    return _socket("DownstreamTlsContext", common, require_client_certificate=True)


def to_upstream(folder: Path, protocol: str, sni: str, names: Iterable[str]) -> Json:
    """The transport socket of a cluster; of ``names`` the server must have one."""
    common = _common(folder, [{"exact": name} for name in names], CALLER_ALPN[protocol])
    return _socket("UpstreamTlsContext", common, sni=sni)


def _common(folder: Path, names: list[dict[str, str]], alpn: Iterable[str]) -> Json:
    # A matcher of each kind of name: one that is not a URI must not do instead of one.
    validation: Json = {
        "trusted_ca": {"filename": str(folder / "root-cert.pem")},
        "match_typed_subject_alt_names": [
            {"san_type": "URI", "matcher": matcher} for matcher in names
        ],
    }
    if (folder / "ca-crl.pem").exists():
        validation["crl"] = {"filename": str(folder / "ca-crl.pem")}
    common: Json = {"validation_context": validation, "alpn_protocols": list(alpn)}
    if (folder / "cert-chain.pem").exists():
        common["tls_certificates"] = [
            {
                "certificate_chain": {"filename": str(folder / "cert-chain.pem")},
                "private_key": {"filename": str(folder / "key.pem")},
            }
        ]
    return common


def _socket(kind: str, common: Json, **more: Any) -> Json:
    config = {"@type": _TYPES + kind, "common_tls_context": common, **more}
    return {"name": _SOCKET, "typed_config": config}
