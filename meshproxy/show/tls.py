"""TLS and the PROXY protocol as Envoy's transport sockets (envoy.extensions.transport_sockets), and
mutual TLS of callers as matches of filter chains.

Secrets have the names that Istio gives them: `default` and `ROOTCA` are the workload's own.
"""

from __future__ import annotations

from meshproxy.model.cluster import Cluster, UpstreamHttp
from meshproxy.model.secret import SecretRef
from meshproxy.model.tls import (
    DownstreamTls,
    ServerMode,
    TlsMode,
    TlsParameters,
    TlsVersion,
    UpstreamTls,
)
from meshproxy.show.shape import ADS, Json, typed, without_empty

TLS_SOCKET = "envoy.transport_sockets.tls"
_SOCKETS = "extensions.transport_sockets."
_OWN, _ROOTS = "default", "ROOTCA"
_MATCH = "envoy.transport_socket_match"
MUTUAL: Json = {_MATCH: {"tlsMode": "istio"}}  # an endpoint's metadata
MESH_HTTP = ["istio-http/1.0", "istio-http/1.1", "istio-h2"]
MESH_TCP = ["istio"]
OWN_ALPN = ["h2", "http/1.1"]


def cluster_sockets(cluster: Cluster) -> Json:
    """The fields of a cluster that say how its endpoints are spoken to."""
    tls, version = cluster.tls, cluster.proxy_protocol
    plain = {
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": typed(_SOCKETS + "raw_buffer.v3.RawBuffer", {}),
    }
    if version:
        plain = _announced(version, plain)
    if tls is None:
        return {"transport_socket": plain} if version else {}
    socket = _socket("UpstreamTlsContext", _upstream(tls, cluster.http))
    if version:
        socket = _announced(version, socket)
    if not tls.auto:
        return {"transport_socket": socket}
    return {
        "transport_socket_matches": [
            {
                "name": "tlsMode-istio",
                "match": {"tlsMode": "istio"},
                "transport_socket": socket,
            },
            {"name": "tlsMode-disabled", "match": {}, "transport_socket": plain},
        ]
    }


def _announced(version: int, inner: Json) -> Json:
    """The PROXY protocol before anything else."""
    body = {"config": {"version": f"V{version}"}, "transport_socket": inner}
    kind = f"{_SOCKETS}proxy_protocol.v3.ProxyProtocolUpstreamTransport"
    return {
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typed_config": typed(kind, body),
    }


def mutual_socket(parameters: TlsParameters) -> Json:
    """What ends the mutual TLS of callers."""
    common = {
        "tls_params": _parameters(parameters),
        "tls_certificate_sds_secret_configs": [_secret(_OWN)],
        "combined_validation_context": {
            "default_validation_context": {},
            "validation_context_sds_secret_config": _secret(_ROOTS),
        },
    }
    if not common["tls_params"]:
        del common["tls_params"]
    body = {"common_tls_context": common, "require_client_certificate": True}
    return _socket("DownstreamTlsContext", body)


def own_socket(tls: DownstreamTls) -> Json:
    """What ends TLS of a port's own."""
    certificate, roots = _files(tls.secret)
    common: Json = {
        "tls_params": _parameters(tls.parameters),
        "alpn_protocols": OWN_ALPN,
        "tls_certificate_sds_secret_configs": [_secret(certificate)],
    }
    if tls.mode is not ServerMode.SIMPLE:
        crl = {"crl": {"filename": tls.secret.crl}} if tls.secret.crl else {}
        common["combined_validation_context"] = {
            "default_validation_context": crl,
            "validation_context_sds_secret_config": _secret(roots),
        }
    body = {
        "common_tls_context": {name: value for name, value in common.items() if value},
        "require_client_certificate": tls.mode is ServerMode.MUTUAL,
    }
    return _socket("DownstreamTlsContext", body)


_SHOWN_VERSIONS = {None: None, TlsVersion.V1_2: "TLSv1_2", TlsVersion.V1_3: "TLSv1_3"}
_SHOWN_CURVES = {"prime256v1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def _parameters(parameters: TlsParameters) -> Json:
    curve = _SHOWN_CURVES.get(parameters.curve)
    return without_empty(
        {
            "tls_minimum_protocol_version": _SHOWN_VERSIONS[parameters.least],
            "tls_maximum_protocol_version": _SHOWN_VERSIONS[parameters.most],
            "cipher_suites": list(parameters.ciphers),
            "ecdh_curves": [] if curve is None else [curve],
        }
    )


def _socket(kind: str, body: Json) -> Json:
    config = typed(f"{_SOCKETS}tls.v3.{kind}", body)
    return {"name": TLS_SOCKET, "typed_config": config}


_HTTP2 = (UpstreamHttp.HTTP2, UpstreamHttp.UPGRADED)


def _upstream(tls: UpstreamTls, http: UpstreamHttp) -> Json:
    certificate, roots = _names(tls)
    validation = without_empty(
        {
            "match_typed_subject_alt_names": [_name(name) for name in tls.names],
            "crl": {"filename": tls.secret.crl} if tls.secret.crl else {},
            "trust_chain_verification": "" if tls.verify else "ACCEPT_UNTRUSTED",
        }
    )
    alpn = ["istio"] if tls.mode is TlsMode.ISTIO_MUTUAL else []
    common: Json = {
        "tls_params": _parameters(tls.parameters),
        "alpn_protocols": [*alpn, "h2"] if http in _HTTP2 else alpn,
        "tls_certificate_sds_secret_configs": [_secret(certificate)] if certificate else [],
    }
    if tls.verify:
        common["combined_validation_context"] = {
            "default_validation_context": validation,
            "validation_context_sds_secret_config": _secret(roots),
        }
    else:
        common["validation_context"] = validation
    return without_empty({"common_tls_context": without_empty(common), "sni": tls.sni})


def _names(tls: UpstreamTls) -> tuple[str, str]:
    """Of our certificate ("": none is shown to the server) and of the roots."""
    if tls.mode is TlsMode.ISTIO_MUTUAL:
        return _OWN, _ROOTS
    certificate, roots = _files(tls.secret)
    return certificate if tls.mode is TlsMode.MUTUAL else "", roots


def _files(secret: SecretRef) -> tuple[str, str]:
    if secret.credential:
        name = f"kubernetes://{secret.credential}"
        return name, f"{name}-cacert"
    return f"file-cert:{secret.certificate}~{secret.key}", f"file-root:{secret.roots or 'system'}"


def _name(name: str) -> Json:
    kind = "URI" if "://" in name else "DNS"
    return {"san_type": kind, "matcher": {"exact": name}}


def _secret(name: str) -> Json:
    return {"name": name, "sds_config": ADS}
