"""The compiled configuration, as the data path sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from meshproxy.base.addr import Address
from meshproxy.base.lookup import HostTable
from meshproxy.cluster.balance import Pick
from meshproxy.cluster.endpoints import EndpointState
from meshproxy.model.cluster import NO_SERVICE, Cluster, ClusterKind
from meshproxy.model.listener import Application, Direction
from meshproxy.model.settings import DEFAULTS, Settings
from meshproxy.model.tls import ANY, DownstreamTls, TlsMode
from meshproxy.plan.proxy_protocol import Expect
from meshproxy.policy.judge import Judge, JudgeTcp
from meshproxy.record import UNKNOWN_PEER, Peer, Record
from meshproxy.route.client_cert import TellCaller
from meshproxy.route.l4 import L4Chooser
from meshproxy.route.rewrite import HeaderEdit, PathRewrite
from meshproxy.telemetry.metrics import TcpCell
from meshproxy.wire.heads import RequestHead
from meshproxy.wire.paths import Normalize

if TYPE_CHECKING:
    from meshproxy.plan.names import ClusterNames


class ClusterPlan:
    """A cluster ready for use: its endpoints' states and the function that picks one."""

    __slots__ = (
        "connect_timeout",
        "dynamic",
        "http",
        "idle_timeout",
        "keep_source",
        "keepalive",
        "kind",
        "model",
        "name",
        "names",
        "pick",
        "proxy_protocol",
        "refusal",
        "serves",
        "sni_of_host",
        "source_v4",
        "source_v6",
        "states",
        "tls",
    )

    def __init__(self, model: Cluster, states: tuple[EndpointState, ...], pick: Pick) -> None:
        self.model = model
        self.name = model.name
        self.kind = model.kind
        # Whether the endpoint is wherever the connection was going. Of a headless service it is, if
        # that is one of its own; for others one is picked.
        self.dynamic = model.kind is ClusterKind.ORIGINAL_DST
        self.http = model.http
        self.connect_timeout = model.connect_timeout
        self.idle_timeout = model.idle_timeout
        self.source_v4 = model.source_v4
        self.source_v6 = model.source_v6
        self.keep_source = model.keep_source
        self.keepalive = model.keepalive
        self.proxy_protocol = model.proxy_protocol
        self.refusal = model.refusal
        self.tls = tls = model.tls
        # Nobody says which name to ask for by SNI, and the service's own is a pattern.
        self.sni_of_host = (
            tls is not None
            and tls.mode is not TlsMode.ISTIO_MUTUAL
            and not tls.sni
            and model.service.host.startswith("*")
        )
        self.states = states
        self.pick = pick
        self.serves = model.service is not NO_SERVICE  # a service is known
        self.names: ClusterNames | None = None  # where DNS decides on states and pick

    def at(self, address: Address) -> EndpointState | None:
        """The endpoint with that address."""
        for state in self.states:
            if state.address == address:
                return state
        return None

    def source_for(self, address: Address) -> str:
        return self.source_v6 if address.is_v6 else self.source_v4


class ClusterSlot:
    """A cluster's name with what it means now.

    Compiled hosts hold slots, so that a host outlives the plan in which a cluster has changed.
    ``plan`` None: nothing of that name exists.
    """

    __slots__ = ("name", "plan")

    def __init__(self, name: str) -> None:
        self.name = name
        self.plan: ClusterPlan | None = None


class Destination:
    """One arm of a split."""

    __slots__ = ("authority", "edit_request", "edit_response", "slot")

    def __init__(
        self,
        slot: ClusterSlot,
        edit_request: HeaderEdit | None = None,
        edit_response: HeaderEdit | None = None,
        authority: bytes = b"",
    ) -> None:
        self.slot = slot
        self.edit_request = edit_request
        self.edit_response = edit_response
        self.authority = authority  # the Host it is sent; "" as it was asked for


class RoutePlan:
    """What is done with a request that a route matched.

    Either ``only``/``choose`` say where it goes, or ``status`` is answered from here, with
    ``location`` where that is a redirect. ``edit_error`` changes an answer of ours in the
    upstream's place.
    """

    __slots__ = (
        "body",
        "choose",
        "details",
        "edit_answer",
        "edit_error",
        "index",
        "location",
        "name",
        "only",
        "reason",
        "rewrite_path",
        "status",
        "timeout",
    )

    def __init__(self, name: str, index: int = 0) -> None:
        self.name = name
        self.index = index
        self.only: Destination | None = None
        self.choose: Callable[[float], Destination] | None = None
        self.timeout = 0.0
        self.rewrite_path: PathRewrite | None = None
        self.status = 0
        self.body = b""
        self.reason = ""
        self.location: Callable[[RequestHead], bytes] | None = None
        self.details = "direct_response"  # of what is answered from here
        self.edit_answer: HeaderEdit | None = None
        self.edit_error: HeaderEdit | None = None


class HostPlan:
    """A virtual host's rules, compiled: from a request to its route (None: none matches)."""

    __slots__ = ("name", "route")

    def __init__(self, name: str, route: Callable[[RequestHead], RoutePlan | None]) -> None:
        self.name = name
        self.route = route


class ChainPlan:
    """What happens to connections of one destination; one object for as long as its plan lives."""

    __slots__ = (
        "application",
        "authorize_http",
        "authorize_tcp",
        "by_name",
        "choose_tcp",
        "deny",
        "direction",
        "ends_tls",
        "expect",
        "fallback",
        "finish_http",
        "finish_tcp",
        "generation",
        "hosts",
        "inbound",
        "listener",
        "mtls",
        "name",
        "normalize_path",
        "open_tcp",
        "peer_of",
        "refuse_plaintext",
        "settings",
        "tcp",
        "tell_caller",
        "tls",
    )

    def __init__(self, name: str, listener: str, direction: Direction) -> None:
        self.name = name
        self.listener = listener
        self.direction = direction
        self.inbound = direction is Direction.INBOUND
        self.generation = 0
        self.application = Application.DETECT
        self.settings = DEFAULTS
        self.deny = ""
        self.mtls = False
        self.tls: DownstreamTls | None = None  # the port's own, in place of the mesh's
        self.ends_tls = False  # one of the two
        self.refuse_plaintext = ""
        self.authorize_http: Judge | None = None  # where policies have a say in requests
        self.authorize_tcp: JudgeTcp | None = None  # and in connections
        self.normalize_path: Normalize = _as_it_is
        self.tell_caller: TellCaller | None = None  # where the app is told otherwise than usual
        self.hosts: HostTable[HostPlan] | None = None
        self.fallback: RoutePlan | None = None  # for hosts that no virtual host names
        self.tcp: RoutePlan | None = None
        self.choose_tcp: L4Chooser[RoutePlan] | None = None  # what is asked before ``tcp``
        self.by_name = False  # it asks for the name in a TLS ClientHello
        self.finish_http: Callable[[Record], None] = _ignore
        self.finish_tcp: Callable[[Record], None] = _ignore
        self.open_tcp: Callable[[Record], TcpCell] = _no_cell
        self.peer_of: Mapping[str, Peer] = {}
        self.expect: Expect | None = None  # where others may say whose connection it is

    def route(self, head: RequestHead) -> RoutePlan | None:
        """The route of a request; None where its host has no rule for it."""
        if self.hosts is not None:
            host = self.hosts.find(head.authority)
            if host is not None:
                return host.route(head)
        return self.fallback

    def route_tcp(self, ip: str, name: str) -> RoutePlan | None:
        """The route of a connection that was going to ``ip`` and whose TLS asks for a name."""
        if self.choose_tcp is not None:
            chosen = self.choose_tcp(ip, name)
            if chosen is not None:
                return chosen
        return self.tcp

    def caller(self, ip: str) -> Peer:
        return self.peer_of.get(ip, UNKNOWN_PEER)


def _as_it_is(path: bytes) -> bytes | None:
    return path


def _ignore(record: Record) -> None:
    """No sink."""


def _no_cell(record: Record) -> TcpCell:
    return TcpCell()


class ListenerPlan:
    """A listener's chains by where the connection was going: the most exact one wins."""

    __slots__ = ("by_address", "by_port", "captured", "default", "direction", "name", "settings")

    def __init__(self, name: str, direction: Direction, captured: bool) -> None:
        self.name = name
        self.direction = direction
        self.captured = captured
        self.by_address: dict[tuple[str, int], ChainPlan] = {}
        self.by_port: dict[int, ChainPlan] = {}
        self.default: ChainPlan | None = None
        self.settings = DEFAULTS

    @property
    def inbound(self) -> bool:
        return self.direction is Direction.INBOUND

    def chain(self, destination: Address) -> ChainPlan | None:
        """The chain for a connection that was going there."""
        return (
            self.by_address.get((destination.ip, destination.port))
            or self.by_port.get(destination.port)
            or self.default
        )


class SubnetListenerPlan(ListenerPlan):
    """A listener with chains of whole subnets; single addresses are more exact than those."""

    __slots__ = ("by_subnet",)

    by_subnet: Callable[[Address], ChainPlan | None]

    def chain(self, destination: Address) -> ChainPlan | None:
        return (
            self.by_address.get((destination.ip, destination.port))
            or self.by_subnet(destination)
            or self.by_port.get(destination.port)
            or self.default
        )


class Plan:
    """One whole compiled configuration."""

    __slots__ = (
        "clusters",
        "generation",
        "listeners",
        "mesh_tls",
        "settings",
        "tls_tickets",
        "trust_domains",
    )

    def __init__(self, generation: int, settings: Settings) -> None:
        self.generation = generation
        self.settings = settings
        self.listeners: dict[str, ListenerPlan] = {}
        self.clusters: dict[str, ClusterPlan] = {}
        self.trust_domains: frozenset[str] = frozenset()  # of which callers are taken
        self.mesh_tls = ANY  # how callers' mutual TLS is ended
        self.tls_tickets = False  # callers may resume their sessions

    def chain(self, listener: str, destination: Address) -> ChainPlan | None:
        """The chain that governs the next request of a connection of that listener."""
        found = self.listeners.get(listener)
        return found.chain(destination) if found is not None else None


class Plans:
    """The one attribute that a swap assigns."""

    __slots__ = ("current",)

    def __init__(self, first: Plan) -> None:
        self.current = first
