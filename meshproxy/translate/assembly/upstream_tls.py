"""TLS towards the endpoints of a cluster: what a DestinationRule asks for, else auto mTLS.

Istio (`pilot/pkg/networking/core/cluster_tls.go`): without a rule the endpoints that have a sidecar
are called with mutual TLS. Whom it may then be is known from the service accounts of the service's
endpoints, of all of them, and from the `subjectAltNames` of its ServiceEntry; a rule's own
`subjectAltNames` stand instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from meshproxy.model.cluster import Endpoint
from meshproxy.model.secret import SecretRef
from meshproxy.model.tls import ANY, TlsMode, TlsParameters, UpstreamTls
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.kinds.client_tls import ClientTls
from meshproxy.translate.kinds.meta import Meta


class Credentials(NamedTuple):
    """What this workload has to speak TLS with, in plain values, so that it can be compared.

    ``auto``: the mesh has auto mTLS. ``trust_domains``: the mesh's own, then its aliases.
    ``namespace`` is where Secrets are looked for. ``tls_defaults`` hold outside of the mesh.
    """

    identity: bool = False
    auto: bool = True
    trust_domains: tuple[str, ...] = ()
    namespace: str = ""
    tls_defaults: TlsParameters = ANY


class Found(NamedTuple):
    """``refusal``: why requests must be answered 503."""

    tls: UpstreamTls | None = None
    refusal: str = ""


PLAIN = Found()


def service_names(service: MeshService, credentials: Credentials) -> tuple[str, ...]:
    """Who may answer for a service with mutual TLS."""
    if not credentials.identity:
        return ()
    accounts = {
        (endpoint.workload.namespace, endpoint.workload.service_account)
        for endpoints in service.endpoints.values()
        for endpoint in endpoints
        if endpoint.workload.service_account
    }
    found = dict.fromkeys(service.subject_alt_names)
    found.update(
        (f"spiffe://{domain}/ns/{namespace}/sa/{account}", None)
        for namespace, account in sorted(accounts)
        for domain in credentials.trust_domains
    )
    return tuple(found)


def auto_tls(
    service: MeshService,
    known: Iterable[Endpoint],
    by_endpoint: bool,
    sni: str,
    names: tuple[str, ...],
    credentials: Credentials,
) -> Found:
    """Where no rule says anything. ``known`` are the endpoints that it may be.

    ``by_endpoint``: each is judged by itself. Otherwise nothing tells which one a connection is
    going to, and there is mutual TLS where all of them have it (Istio).
    """
    if service.external or not credentials.identity or not credentials.auto:
        return PLAIN
    mutual = [endpoint.mtls for endpoint in known]
    if not (any(mutual) if by_endpoint else mutual and all(mutual)):
        return PLAIN
    return Found(UpstreamTls(TlsMode.ISTIO_MUTUAL, by_endpoint, sni, names))


def rule_tls(
    wanted: ClientTls,
    rule: Meta,
    service: MeshService,
    sni: str,
    names: tuple[str, ...],
    credentials: Credentials,
) -> Found:
    """What a rule asks for; ``sni`` and ``names`` are those of mutual TLS in the mesh."""
    if wanted.mode == "DISABLE":
        return PLAIN
    mode = TlsMode(wanted.mode)
    if mode is TlsMode.ISTIO_MUTUAL:
        if not credentials.identity:
            text = f"{rule} asks for TLS mode ISTIO_MUTUAL, and there is no certificate (--certs)"
            return Found(refusal=text)
        return Found(UpstreamTls(mode, False, wanted.sni or sni, wanted.names or names))
    tls = UpstreamTls(
        mode,
        sni=wanted.sni,
        names=wanted.names or (service.subject_alt_names if wanted.verify else ()),
        secret=_secret(wanted, credentials),
        verify=wanted.verify,
        # Istio (`applyTLSDefaults`) has the least version for callers alone.
        parameters=replace(credentials.tls_defaults, least=None),
    )
    return Found(tls)


def _secret(wanted: ClientTls, credentials: Credentials) -> SecretRef:
    if wanted.credential:
        return SecretRef(credential=f"{credentials.namespace}/{wanted.credential}")
    return SecretRef(wanted.certificate, wanted.key, wanted.roots, wanted.crl)
