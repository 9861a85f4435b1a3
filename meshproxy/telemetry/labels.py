"""A finished record's labels, as Istio's standard metrics reference defines them."""

from __future__ import annotations

from meshproxy.model.workload import Workload
from meshproxy.record import Secured
from meshproxy.telemetry.metrics import Labels


def labels(
    *,
    outbound: bool,
    own: Workload,
    peer: Workload,
    service: tuple[str, str, str],
    protocol: str,
    result: tuple[str, str] | None,
    flags: str,
    secured: Secured | None = None,
) -> Labels:
    """Values in the order of `HTTP_LABELS`, or of `TCP_LABELS` where ``result`` is None.

    ``service`` is host, short name and namespace; ``result`` response code and gRPC status. An
    empty app is the canonical name and an empty version the canonical revision, as newer data
    planes have it. Principals are SPIFFE IDs; without mutual TLS nobody has one. Whether a call
    was secured is the destination's to say.
    """
    source, destination = (own, peer) if outbound else (peer, own)
    host, name, namespace = service
    caller = called = ""
    if secured is not None and secured.identity:
        ours, theirs = secured.own, secured.identity
        caller, called = (ours, theirs) if outbound else (theirs, ours)
    ends = (
        "source" if outbound else "destination",
        source.name,
        source.canonical_name,
        source.canonical_revision,
        source.namespace,
        caller or "unknown",
        source.app,
        source.version,
        source.cluster_id,
        destination.name,
        destination.namespace,
        called or "unknown",
        destination.app,
        destination.version,
        host,
        destination.canonical_name,
        destination.canonical_revision,
        name,
        namespace,
        destination.cluster_id,
        protocol,
    )
    mutual = secured is not None and secured.digest
    policy = "unknown" if outbound else "mutual_tls" if mutual else "none"
    return (*ends, *(result or ()), flags or "-", policy)
