"""Who may call this workload, as far as this build can tell: mutual TLS or not, and what is closed.

Istio's precedence (`pilot/pkg/security/authn`): a PeerAuthentication without selector in the root
namespace is for the mesh, elsewhere for its namespace; one with a selector is for workloads of its
namespace and may set single ports. Of several of the same reach the oldest counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshproxy.translate.assembly.catalog import Catalog
from meshproxy.translate.assembly.inbound import Guard
from meshproxy.translate.assembly.scope import Self
from meshproxy.translate.kinds.meta import Meta, selects
from meshproxy.translate.kinds.peer_authentication import PeerAuthentication
from meshproxy.translate.kinds.request_authentication import RequestAuthentication

_UNSET = "UNSET"
_STRICT = "STRICT"


def build_guard(catalog: Catalog, self_: Self, root: str) -> Guard:
    """What stands at the door of every inbound chain."""
    peers = [entry.value for entry in catalog.all(PeerAuthentication)]
    broken = [
        f"{peer.meta} can't be relied on: {peer.fault}"
        for peer in peers
        if peer.fault and reaches(peer.meta, peer.selector, self_, root)
    ]
    closed = broken or _closed(catalog, self_, root)
    mesh, namespace, workload = _levels(peers, self_, root)
    strict = ""
    for policy in (mesh, namespace, workload):
        if policy is not None and policy.mode != _UNSET:
            strict = _say(policy, policy.mode)
    ports: Mapping[int, str] = {}
    if workload is not None:
        ports = {
            port: strict if mode == _UNSET else _say(workload, mode)
            for port, mode in workload.ports.items()
        }
    return Guard(closed[0] if closed else "", strict, ports or None)


def _say(policy: PeerAuthentication, mode: str) -> str:
    return f"{policy.meta} asks for mutual TLS (STRICT)" if mode == _STRICT else ""


def _closed(catalog: Catalog, self_: Self, root: str) -> list[str]:
    """Policies that can't be followed yet, so that everything is refused for each of them."""
    requests = [entry.value for entry in catalog.all(RequestAuthentication)]
    return [
        f"{request.meta}: {request.fault or 'tokens are not verified in this build'}"
        for request in requests
        if (request.rules or request.fault) and not request.targeted
        if reaches(request.meta, request.selector, self_, root)
    ]


def reaches(meta: Meta, selector: Mapping[str, str] | None, self_: Self, root: str) -> bool:
    """Whether a policy is for this workload: of its namespace or the root's, and selecting it."""
    return meta.namespace in (root, self_.namespace) and selects(selector or {}, self_.labels)


def _levels(
    peers: list[PeerAuthentication], self_: Self, root: str
) -> tuple[PeerAuthentication | None, PeerAuthentication | None, PeerAuthentication | None]:
    """The policies of the mesh, the namespace and the workload; ``peers`` are the oldest first."""
    mesh = namespace = workload = None
    for peer in peers:
        own = peer.meta.namespace
        if peer.selector is None:
            if own == root:
                mesh = mesh or peer
            elif own == self_.namespace:
                namespace = namespace or peer
        elif own == self_.namespace and own != root and selects(peer.selector, self_.labels):
            workload = workload or peer
    return mesh, namespace, workload
