"""Upstream clusters and their endpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from meshproxy.base.addr import ServerAddr
from meshproxy.model.origin import BUILT_IN, Origin
from meshproxy.model.tls import UpstreamTls
from meshproxy.model.workload import UNKNOWN, Workload


class Balance(Enum):
    """How an endpoint is chosen (Istio `trafficPolicy.loadBalancer.simple`)."""

    ROUND_ROBIN = "ROUND_ROBIN"
    RANDOM = "RANDOM"
    LEAST_REQUEST = "LEAST_REQUEST"
    PASSTHROUGH = "PASSTHROUGH"


class ClusterKind(Enum):
    """``STRICT_DNS``: names stand for all their addresses. ``LOGICAL_DNS``: for the first of them,
    and connections to an earlier one are kept.

    ``ORIGINAL_DST``: the endpoint is wherever the connection was going before its redirect.

    If such a cluster has endpoints (a headless service), the connection was going to one of them;
    where it was not, because it was never redirected or is routed here from elsewhere, one is
    chosen.
    """

    STATIC = "static"
    STRICT_DNS = "strict-dns"
    LOGICAL_DNS = "logical-dns"
    ORIGINAL_DST = "original-dst"
    BLACK_HOLE = "black-hole"


class UpstreamHttp(Enum):
    """Which HTTP the endpoints are spoken to in. ``AS_DOWNSTREAM``: as the caller spoke to us.

    ``UPGRADED``: HTTP/2 by an `h2UpgradePolicy`; they are declared to speak HTTP/1.1.
    """

    HTTP1 = "http1"
    HTTP2 = "http2"
    UPGRADED = "upgraded"
    AS_DOWNSTREAM = "as-downstream"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a cluster. ``weight`` is at least 1.

    ``name``: a host whose addresses DNS knows; then ``address`` has only the port. ``mtls``: it is
    known to take the mesh's mutual TLS. ``origin`` is for the supervisor, which shows it: thousands
    of endpoints are sent to workers without it.
    """

    address: ServerAddr
    weight: int = 1
    workload: Workload = UNKNOWN
    name: str = ""
    mtls: bool = False
    origin: Origin = field(default=BUILT_IN, compare=False)

    def __reduce__(self) -> tuple[type[Endpoint], tuple[object, ...]]:
        return Endpoint, (self.address, self.weight, self.workload, self.name, self.mtls)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Probes on an idle TCP connection (tcp(7)). Seconds; 0: as the system has it."""

    probes: int = 0
    idle: int = 0
    interval: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """The service that a cluster was made for, as metrics name it."""

    host: str = "unknown"
    name: str = "unknown"
    namespace: str = "unknown"


NO_SERVICE = Service()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A set of endpoints and how they are used.

    ``name`` is Istio's: ``outbound|PORT|SUBSET|HOST``, ``inbound|PORT||``, ``PassthroughCluster``…
    ``refusal``: this build can't do what the configuration asks for, so that every request is
    answered 503 with this sentence. ``source`` is the local address to dial from, by family;
    ``keep_source``: it is the client's own address, as TPROXY allows. ``proxy_protocol``: each
    connection begins by saying, in this version, whose it is; 0: none does.
    """

    name: str
    kind: ClusterKind = ClusterKind.STATIC
    endpoints: tuple[Endpoint, ...] = ()
    balance: Balance = Balance.LEAST_REQUEST
    http: UpstreamHttp = UpstreamHttp.HTTP1
    service: Service = NO_SERVICE
    connect_timeout: float = 10.0
    idle_timeout: float = 3600.0
    source_v4: str = ""
    source_v6: str = ""
    keep_source: bool = False
    refusal: str = ""
    origin: Origin = field(default=BUILT_IN, compare=False)
    keepalive: Keepalive | None = None
    tls: UpstreamTls | None = None
    proxy_protocol: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts whose addresses DNS has to be asked for."""
        return tuple(endpoint.name for endpoint in self.endpoints if endpoint.name)
