"""TLS towards upstreams."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from meshproxy.model.secret import WORKLOAD, SecretRef


class TlsMode(Enum):
    """Istio's ``ClientTLSSettings.TLSmode``. DISABLE is the absence of `UpstreamTls`."""

    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """How the endpoints of a cluster are spoken to.

    ``auto``: no rule asks for it, so only endpoints that are known to speak it (`Endpoint.mtls`)
    are. ``sni`` "": for SIMPLE and MUTUAL the host that was asked for. ``names``: subject
    alternative names of which the server must have one, SPIFFE IDs in full; without any, a server
    in the mesh is refused, and another one must have the name that was asked for by SNI.
    ``secret``: our certificate and the roots; where it names no roots, the system's.
    """

    mode: TlsMode
    auto: bool = False
    sni: str = ""
    names: tuple[str, ...] = ()
    secret: SecretRef = WORKLOAD
    verify: bool = True
