"""What is known of one request or one TCP connection, filled in as it flows.

One is made at the start and handed forward; every room writes what it decides. It is read once, at
the end, by metrics and the access log, and later by `explain`, which rebuilds the reasons from it
by running the reference functions on the configuration: so it keeps *which* rule, draw, endpoint
and attempt, never text that was formatted for the case that somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from meshproxy.base.addr import Address
from meshproxy.base.errors import Kind
from meshproxy.model.client_cert import CertDetails
from meshproxy.model.workload import UNKNOWN, Workload

if TYPE_CHECKING:
    from meshproxy.wire.heads import RequestHead, ResponseHead

NO_ADDRESS = Address("", 0)


class Peer:
    """A workload on the other end, compared by identity: it is part of every metric's key, and
    hashing a workload by its fields costs ten times as much."""

    __slots__ = ("workload",)

    def __init__(self, workload: Workload) -> None:
        self.workload = workload

    def __repr__(self) -> str:
        return f"Peer({self.workload.namespace}/{self.workload.name})"


UNKNOWN_PEER = Peer(UNKNOWN)


@dataclass(frozen=True, slots=True)
class Secured:
    """What TLS has made known of a connection; made once for each.

    ``identity`` is the peer's SPIFFE ID, "" where it showed none; ``own`` the one that we showed.
    ``version`` and ``cipher`` are OpenSSL's names, ``subject`` the peer's in the form of RFC 2253,
    ``digest`` the SHA-256 of its certificate in hexadecimal, ``dns`` its DNS names. ``xfcc`` is
    what the app is told of it (`X-Forwarded-Client-Cert`), "" where it showed no certificate, and
    ``tell`` makes it with other details than the usual.
    """

    identity: str = ""
    own: str = ""
    version: str = ""
    cipher: str = ""
    server_name: str = ""
    subject: str = ""
    digest: str = ""
    dns: tuple[str, ...] = ()
    xfcc: bytes = b""
    tell: Callable[[CertDetails], bytes] | None = field(default=None, compare=False, repr=False)


class Attempt(NamedTuple):
    """One try to get an answer. ``cause`` None: it was answered."""

    endpoint: Address
    reused: bool
    cause: Kind | None


class Shadow(NamedTuple):
    """What authorization policies said that decide nothing: AUDIT, and those in dry run.

    ``action`` is allow, deny or audit; ``result`` allowed, denied or logged. ``policy`` is
    NAMESPACE/NAME of the one that matched, with its ``rule`` and the ``name`` that Istio gives it.
    """

    action: str
    result: str
    policy: str
    rule: str
    name: str


class Record:
    """Times are monotonic seconds, ``wall`` seconds since the epoch, sizes bytes on the wire."""

    __slots__ = (
        "answered",
        "attempts",
        "body_in",
        "body_out",
        "chain",
        "client",
        "cluster",
        "code",
        "destination",
        "details",
        "direct",
        "draw",
        "duration_ms",
        "endpoint",
        "flags",
        "generation",
        "grpc_status",
        "local",
        "path",
        "peer",
        "protocol",
        "request",
        "response",
        "reused",
        "route",
        "secured",
        "server_name",
        "shadows",
        "start",
        "taken",
        "termination",
        "transport_failure",
        "upstream",
        "upstream_local",
        "upstream_secured",
        "wall",
        "wire_in",
        "wire_out",
    )

    def __init__(self, start: float, wall: float, client: Address, local: Address) -> None:
        self.start = start
        self.wall = wall
        self.client = client
        self.direct = client  # the socket's peer, who may have told of the client (PROXY protocol)
        self.local = local  # where the client was going: the original destination
        self.secured: Secured | None = None  # downstream; None: plaintext
        self.upstream_secured: Secured | None = None
        self.shadows: tuple[Shadow, ...] = ()
        self.peer = UNKNOWN_PEER  # inbound: the caller; outbound: the endpoint's workload
        # Decisions.
        self.generation = 0
        self.chain: Any = None
        self.route: Any = None
        self.destination: Any = None
        self.draw = -1.0  # of the weighted split; -1: there was nothing to draw
        self.cluster: Any = None
        self.endpoint: Any = None
        self.attempts: list[Attempt] | None = None  # only those before the last one
        self.reused = False
        # What was asked and answered.
        self.protocol = ""
        self.server_name = ""  # that a TLS client asked for
        self.request: RequestHead | None = None
        self.response: ResponseHead | None = None
        self.path = b""  # as asked; request.path may have been rewritten
        self.code = 0
        self.flags = ""
        self.details = ""
        self.termination = ""
        self.transport_failure = ""
        self.upstream: Address = NO_ADDRESS
        self.upstream_local: Address = NO_ADDRESS
        # Sizes and times.
        self.body_in = 0
        self.body_out = 0
        self.wire_in = 0
        self.wire_out = 0
        self.grpc_status = -1  # -1: not gRPC
        self.duration_ms = 0  # set once, at the end
        self.answered = 0.0  # when the answer's head came
        self.taken = 0.0  # when the request's last byte was in

    def failed_attempt(self, endpoint: Address, reused: bool, cause: Kind) -> None:
        """Keep an attempt that is followed by another one."""
        if self.attempts is None:
            self.attempts = []
        self.attempts.append(Attempt(endpoint, reused, cause))

    @property
    def attempt_count(self) -> int:
        return 1 + len(self.attempts or ())
