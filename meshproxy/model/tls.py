"""TLS towards upstreams, and from callers where it is not the mesh's own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from meshproxy.model.secret import WORKLOAD, SecretRef


class TlsVersion(Enum):
    """The versions that are spoken at all; OpenSSL's names."""

    V1_2 = "TLSv1.2"
    V1_3 = "TLSv1.3"


@dataclass(frozen=True, slots=True)
class TlsParameters:
    """What a handshake may agree on; what is not said stays as safe and as wide as it can be.

    ``ciphers`` are those of TLS 1.2, by OpenSSL's names: nothing but AEAD with forward secrecy.
    ``curve`` is the only one for exchanging keys.
    """

    least: TlsVersion | None = None
    most: TlsVersion | None = None
    ciphers: tuple[str, ...] = ()
    curve: str = ""

    def over(self, wider: TlsParameters) -> TlsParameters:
        """These, and what ``wider`` says where these say nothing."""
        return TlsParameters(
            self.least or wider.least,
            self.most or wider.most,
            self.ciphers or wider.ciphers,
            self.curve or wider.curve,
        )


ANY = TlsParameters()


class ServerMode(Enum):
    """Istio's ``ServerTLSSettings.TLSmode``, of those that end TLS by files: whether callers show a
    certificate."""

    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


@dataclass(frozen=True, slots=True)
class DownstreamTls:
    """TLS of a port's own, ended here with a certificate that is not the workload's.

    ``secret``: our certificate, and the roots of callers.
    """

    mode: ServerMode
    secret: SecretRef
    parameters: TlsParameters = ANY


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
    parameters: TlsParameters = ANY
