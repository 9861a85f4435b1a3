"""Who may call this workload, as far as this build can tell: with mutual TLS, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

from meshproxy.translate.assembly.catalog import Catalog
from meshproxy.translate.assembly.inbound import Door, Guard
from meshproxy.translate.assembly.peer_modes import DISABLE, STRICT, Mode, PeerModes
from meshproxy.translate.assembly.scope import Self
from meshproxy.translate.kinds.meta import Meta, selects
from meshproxy.translate.kinds.peer_authentication import PeerAuthentication
from meshproxy.translate.kinds.request_authentication import RequestAuthentication


def build_guard(
    catalog: Catalog, self_: Self, root: str, modes: PeerModes, identity: bool
) -> Guard:
    """What stands at the door of every inbound chain."""
    peers = [entry.value for entry in catalog.all(PeerAuthentication)]
    broken = [
        f"{peer.meta} can't be relied on: {peer.fault}"
        for peer in peers
        if peer.fault and reaches(peer.meta, peer.selector, self_, root)
    ]
    closed = broken or _closed(catalog, self_, root)
    found = modes.of(self_.namespace, self_.labels)
    ports = {port: _door(mode, identity) for port, mode in found.ports.items()}
    return Guard(closed[0] if closed else "", _door(found.mode, identity), ports)


def _door(mode: Mode, identity: bool) -> Door:
    """Without an identity a caller's mutual TLS can't be answered.

    Where it is wanted but not asked for, it is then none of ours and goes on to the app as any TLS
    does; where it must be, nothing comes in.
    """
    if mode.mode == STRICT and mode.policy is not None:
        return Door(True, f"{mode.policy.meta} asks for mutual TLS (STRICT)")
    return Door(identity and mode.mode != DISABLE)


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
