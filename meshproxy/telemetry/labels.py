"""A finished record's labels, as Istio's standard metrics reference defines them."""

from __future__ import annotations

from meshproxy.model.workload import Workload
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
) -> Labels:
    """Values in the order of `HTTP_LABELS`, or of `TCP_LABELS` where ``result`` is None.

    ``service`` is host, short name and namespace; ``result`` response code and gRPC status. An
    empty app is the canonical name and an empty version the canonical revision, as newer data
    planes have it. Without mutual TLS nobody has a principal; the outbound side can't know.
    """
    source, destination = (own, peer) if outbound else (peer, own)
    host, name, namespace = service
    ends = (
        "source" if outbound else "destination",
        source.name,
        source.canonical_name,
        source.canonical_revision,
        source.namespace,
        "unknown",
        source.app,
        source.version,
        source.cluster_id,
        destination.name,
        destination.namespace,
        "unknown",
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
    return (*ends, *(result or ()), flags or "-", "unknown" if outbound else "none")
