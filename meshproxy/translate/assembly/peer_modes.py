"""Which PeerAuthentication holds for a workload: for ours, and for those that we call.

Istio's precedence (`pilot/pkg/security/authn`): a PeerAuthentication without selector in the root
namespace is for the mesh, elsewhere for its namespace; one with a selector is for workloads of its
namespace and may set single ports. Of several of the same reach the oldest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from meshproxy.translate.kinds.meta import selects
from meshproxy.translate.kinds.peer_authentication import PeerAuthentication

PERMISSIVE = "PERMISSIVE"
STRICT = "STRICT"
DISABLE = "DISABLE"
_UNSET = "UNSET"


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode, and the policy that says so; None where it is Istio's default."""

    mode: str = PERMISSIVE
    policy: PeerAuthentication | None = None


@dataclass(frozen=True, slots=True)
class Modes:
    """A workload's mode; ``ports`` are exceptions."""

    mode: Mode = Mode()
    ports: Mapping[int, Mode] = field(default_factory=dict)


class Plaintext(NamedTuple):
    """On which ports a workload's mutual TLS is disabled: everywhere or nowhere but at ``ports``.

    Plain values, so that an edit that disables nothing is found to have changed nothing.
    """

    everywhere: bool = False
    ports: tuple[int, ...] = ()

    def holds(self, port: int) -> bool:
        return (port in self.ports) != self.everywhere


NOWHERE = Plaintext()


class PeerModes:
    """Modes of workloads. ``peers`` are the oldest first."""

    def __init__(self, peers: Iterable[PeerAuthentication], root: str) -> None:
        self._disables = False
        self._wide_of: dict[str, PeerAuthentication] = {}
        self._selecting: dict[str, list[PeerAuthentication]] = {}
        mesh = None
        for peer in peers:
            namespace = peer.meta.namespace
            self._disables |= DISABLE in (peer.mode, *peer.ports.values())
            if peer.selector is None and namespace == root:
                mesh = mesh or peer
            elif peer.selector is None:
                self._wide_of.setdefault(namespace, peer)
            elif namespace != root:
                self._selecting.setdefault(namespace, []).append(peer)
        self._mesh = _narrow(Mode(), mesh)

    def of(self, namespace: str, labels: Mapping[str, str]) -> Modes:
        """The modes of a workload."""
        mode = _narrow(self._mesh, self._wide_of.get(namespace))
        for peer in self._selecting.get(namespace, ()):
            if peer.selector is not None and selects(peer.selector, labels):
                mode = _narrow(mode, peer)
                ports = {
                    port: mode if said == _UNSET else Mode(said, peer)
                    for port, said in peer.ports.items()
                }
                return Modes(mode, ports)
        return Modes(mode)

    def plaintext(self, namespace: str, labels: Mapping[str, str]) -> Plaintext:
        """Where a workload does not take mutual TLS."""
        if not self._disables:
            return NOWHERE
        modes = self.of(namespace, labels)
        everywhere = modes.mode.mode == DISABLE
        exceptions = [
            port for port, mode in modes.ports.items() if (mode.mode == DISABLE) != everywhere
        ]
        return Plaintext(everywhere, tuple(sorted(exceptions)))


def _narrow(wide: Mode, policy: PeerAuthentication | None) -> Mode:
    """What holds once a narrower policy has had its say."""
    if policy is None or policy.mode == _UNSET:
        return wide
    return Mode(policy.mode, policy)
