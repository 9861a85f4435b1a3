"""From a snapshot to a plan, keeping what has not changed.

Building is a generator: it pauses after every host and cluster, so that a worker can compile a
large change in slices between requests. Nothing is visible until `Builder.commit`. What one edit
among a thousand services costs is that edit: tables of hosts stay while nobody's names change, and
a host whose routes are others is the same `HostPlan`, told of them at the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from meshproxy.base.lookup import HostTable
from meshproxy.cluster.balance import compile_balancer
from meshproxy.cluster.endpoints import Registry
from meshproxy.model.cluster import Cluster
from meshproxy.model.listener import Direction, FilterChain, Listener
from meshproxy.model.route import RouteConfig, VirtualHost
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.telemetry import AccessLog
from meshproxy.model.workload import Workload
from meshproxy.plan.hosts import compile_host, compile_tcp, direct_route, forward_route
from meshproxy.plan.kept import Kept
from meshproxy.plan.names import NameBook
from meshproxy.plan.plan import (
    ChainPlan,
    ClusterPlan,
    ClusterSlot,
    HostPlan,
    ListenerPlan,
    Plan,
    RoutePlan,
    SubnetListenerPlan,
)
from meshproxy.plan.proxy_protocol import compile_proxy_protocol
from meshproxy.plan.sinks import LogSink, Sink
from meshproxy.plan.subnets import Subnet, compile_subnets
from meshproxy.policy.judge import Judge, JudgeTcp, judge_of_connections, judge_of_requests
from meshproxy.record import Peer
from meshproxy.route.client_cert import compile_client_cert
from meshproxy.route.l4 import compile_l4
from meshproxy.telemetry.access_log import compile_access_log
from meshproxy.telemetry.metrics import Counters
from meshproxy.wire.paths import compile_normalization

Write = Callable[[str], None]
_PASSTHROUGH = "PassthroughCluster"
_STEP = 32  # small things that are done in one step


@dataclass(frozen=True, slots=True)
class Context:
    """What a worker hands in once: state that outlives plans, chance, and the way to log files.

    ``open_log`` maps a path to a function that takes lines; ``draw`` gives floats in ``[0, 1)``.
    """

    registry: Registry
    counters: Counters
    draw: Callable[[], float]
    open_log: Callable[[str], Write]
    environment: Mapping[str, str]


class _Table(NamedTuple):
    """Who is called what in one route table, and what it was made from beside the hosts."""

    config: RouteConfig
    remember: int
    hosts: HostTable[HostPlan]


class _Hosts(NamedTuple):
    """All hosts; the keys of those that are new, gone, or called by other names than before; and
    host plans that stay, each with the one that it shall be like."""

    kept: Kept[VirtualHost, HostPlan]
    moved: set[str]
    routes: list[tuple[HostPlan, HostPlan]]


class _Next(NamedTuple):
    """What a plan that has been built brings with it.

    ``clusters_changed``: names of those that are new, others than before, or gone.
    """

    clusters: Kept[Cluster, ClusterPlan]
    clusters_changed: tuple[str, ...]
    hosts: _Hosts
    tables: dict[str, _Table]
    peers: Kept[Workload, Peer]


class Builder:
    """Compiles snapshots one after the other for one worker."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.names = NameBook(context.registry, context.draw)
        self._slots: dict[str, ClusterSlot] = {}
        self._authorization: tuple[Any, Judge | None, JudgeTcp | None] = (None, None, None)
        self._clusters: Kept[Cluster, ClusterPlan] = Kept({}, {})
        self._hosts: Kept[VirtualHost, HostPlan] = Kept({}, {})
        self._tables: dict[str, _Table] = {}
        self._peers: Kept[Workload, Peer] = Kept({}, {})

    def slot(self, name: str) -> ClusterSlot:
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = ClusterSlot(name)
        return slot

    def steps(self, snapshot: Snapshot, generation: int) -> Generator[None, None, Plan]:
        """Build the plan; each ``next`` is a small step. Its value is for `commit`.

        What was opened for a plan that fails, or that a newer one overtakes, is let go again.
        """
        opened: list[ClusterPlan] = []
        try:
            return (yield from self._steps(snapshot, generation, opened))
        except BaseException:
            for cluster in opened:
                self.names.close(cluster)
            raise

    def _steps(
        self, snapshot: Snapshot, generation: int, opened: list[ClusterPlan]
    ) -> Generator[None, None, Plan]:
        plan = Plan(generation, snapshot.settings)
        plan.trust_domains = frozenset((snapshot.trust_domain, *snapshot.trust_domain_aliases))
        plan.mesh_tls = snapshot.mesh_tls
        # A resumed session does not know the chain that its caller has shown.
        chain_told = snapshot.client_cert.details.chain
        plan.tls_tickets = snapshot.settings.tls_session_tickets and not chain_told
        clusters, fresh, gone = self._clusters.turn(snapshot.clusters)
        for name in fresh:
            yield
            clusters.pieces[name] = self._cluster(snapshot.clusters[name])
            opened.append(clusters.pieces[name])
        plan.clusters = clusters.pieces
        yield
        hosts = yield from self._host_steps(snapshot)
        yield
        tables: dict[str, _Table] = {}
        for config in snapshot.route_configs.values():
            tables[config.name] = yield from self._table_steps(snapshot, config, hosts)
        peers = yield from self._peer_steps(snapshot)
        maker = _ChainMaker(self, snapshot, generation, tables, peers.pieces)
        for listener in snapshot.listeners.values():
            plan.listeners[listener.name] = yield from maker.listener_steps(listener)
        self._next = _Next(clusters, (*fresh, *gone), hosts, tables, peers)
        return plan

    def _host_steps(self, snapshot: Snapshot) -> Generator[None, None, _Hosts]:
        old = self._hosts
        kept, fresh, gone = old.turn(snapshot.hosts)
        hosts = _Hosts(kept, set(gone), [])
        for key in fresh:
            yield
            model, known = snapshot.hosts[key], old.models.get(key)
            compiled = compile_host(model, self.slot)
            if known is not None and known.domains == model.domains:
                hosts.routes.append((kept.pieces[key], compiled))
            else:
                kept.pieces[key] = compiled
                hosts.moved.add(key)
        return hosts

    def _table_steps(
        self, snapshot: Snapshot, config: RouteConfig, hosts: _Hosts
    ) -> Generator[None, None, _Table]:
        remember = snapshot.settings.max_hosts_remembered
        known = self._tables.get(config.name)
        if (
            known is not None
            and known.config is config
            and known.remember == remember
            and hosts.moved.isdisjoint(config.hosts)
        ):
            return known
        table: HostTable[HostPlan] = HostTable((), remember, config.by_port)
        for at, key in enumerate(config.hosts):
            if not at % _STEP:
                yield
            for domain in snapshot.hosts[key].domains:
                table.add(domain, hosts.kept.pieces[key])
        return _Table(config, remember, table)

    def _peer_steps(self, snapshot: Snapshot) -> Generator[None, None, Kept[Workload, Peer]]:
        peers, fresh, _ = self._peers.turn(snapshot.peers)
        yield
        for at, ip in enumerate(fresh):
            if not at % _STEP:
                yield
            peers.pieces[ip] = self._context.registry.peer(snapshot.peers[ip])
        return peers

    def build(self, snapshot: Snapshot, generation: int) -> Plan:
        """`steps` run to the end, and committed."""
        steps = self.steps(snapshot, generation)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                plan: Plan = end.value
                self.commit(plan)
                return plan

    def commit(self, plan: Plan) -> None:
        """Make the new clusters the ones that slots mean, and let hosts do what is new.

        The caller swaps the plan.
        """
        old, new = self._clusters.pieces, self._next
        self._clusters, self._hosts, self._tables = new.clusters, new.hosts.kept, new.tables
        self._peers = new.peers
        for name in new.clusters_changed:  # each has a slot, see `_cluster`
            self._slots[name].plan = plan.clusters.get(name)
        for kept, compiled in new.hosts.routes:
            kept.name, kept.route = compiled.name, compiled.route
        for name in new.clusters_changed:
            if name in old:
                self.names.close(old[name])

    def _cluster(self, cluster: Cluster) -> ClusterPlan:
        self.slot(cluster.name)
        if cluster.names:
            return self.names.open(cluster)
        states = self._context.registry.adopt(
            cluster.name, cluster.endpoints, cluster.idle_timeout, cluster.tls
        )
        pick = compile_balancer(cluster.balance, states, self._context.draw)
        return ClusterPlan(cluster, states, pick)

    def authorization(self, snapshot: Snapshot) -> tuple[Judge | None, JudgeTcp | None]:
        """What policies say of requests and of connections."""
        policies = snapshot.authorization
        domains = (snapshot.trust_domain, *snapshot.trust_domain_aliases)
        if self._authorization[0] != (policies, domains):
            self._authorization = (
                (policies, domains),
                judge_of_requests(policies, domains),
                judge_of_connections(policies, domains),
            )
        return self._authorization[1:]

    def log_sinks(self, logs: tuple[AccessLog, ...], outbound: bool) -> tuple[LogSink, ...]:
        return tuple(
            self._log_sink(log)
            for log in logs
            if log.path and (log.outbound if outbound else log.inbound)
        )

    def _log_sink(self, log: AccessLog) -> LogSink:
        line = compile_access_log(log, self._context.environment)
        return LogSink(line, self._context.open_log(log.path))

    @property
    def counters(self) -> Counters:
        return self._context.counters


class _ChainMaker:
    """Makes the listeners of one plan; sinks and callers' names are shared by its chains."""

    def __init__(
        self,
        builder: Builder,
        snapshot: Snapshot,
        generation: int,
        tables: dict[str, _Table],
        peers: dict[str, Peer],
    ) -> None:
        self._builder = builder
        self._snapshot = snapshot
        self._generation = generation
        self._tables = tables
        self._peers = peers
        self._expect = compile_proxy_protocol(snapshot.settings.proxy_protocol)
        self._normalize = compile_normalization(snapshot.path_normalization)
        self._authorization = builder.authorization(snapshot)
        self._tell_caller = compile_client_cert(snapshot.client_cert)
        self._sinks = {
            direction: Sink(
                builder.counters,
                snapshot.workload,
                direction is Direction.OUTBOUND,
                builder.log_sinks(snapshot.access_logs, direction is Direction.OUTBOUND),
            )
            for direction in Direction
        }

    def listener_steps(self, model: Listener) -> Generator[None, None, ListenerPlan]:
        listener = ListenerPlan(model.name, model.direction, model.captured)
        subnets: list[tuple[Subnet, ChainPlan]] = []
        if any("/" in ip for chain in model.chains for ip in chain.ips):
            listener = SubnetListenerPlan(model.name, model.direction, model.captured)
        listener.settings = self._snapshot.settings
        for at, chain_model in enumerate(model.chains):
            if not at % _STEP:
                yield
            chain = self._chain(model, chain_model)
            if not model.captured or (not chain_model.port and not chain_model.ips):
                listener.default = chain
            elif chain_model.ips:
                for ip in chain_model.ips:
                    if "/" in ip:
                        subnets.append((Subnet(ip, chain_model.port), chain))
                    else:
                        listener.by_address.setdefault((ip, chain_model.port), chain)
            else:
                listener.by_port.setdefault(chain_model.port, chain)
        if isinstance(listener, SubnetListenerPlan):
            listener.by_subnet = compile_subnets(subnets)
        return listener

    def _chain(self, listener: Listener, model: FilterChain) -> ChainPlan:
        chain = ChainPlan(model.name, listener.name, listener.direction)
        chain.generation = self._generation
        chain.settings = self._snapshot.settings
        chain.application = model.application
        chain.deny = model.deny
        chain.mtls, chain.tls = model.mtls, model.tls
        chain.ends_tls = model.mtls or model.tls is not None
        chain.normalize_path = self._normalize
        chain.refuse_plaintext = model.refuse_plaintext
        if model.tcp is not None:
            chain.tcp = compile_tcp(model.tcp, self._builder.slot)
        if model.rules:
            targets = [compile_tcp(rule, self._builder.slot) for rule in model.rules]
            chain.choose_tcp = compile_l4(model.rules, targets)
            chain.by_name = any(rule.sni for rule in model.rules)
        if model.route_config:
            table = self._tables.get(model.route_config)
            chain.hosts = None if table is None else table.hosts
            chain.fallback = self._fallback(listener)
        elif chain.tcp is not None:
            # All HTTP of this chain goes where its connections go: inbound, and passthrough.
            chain.fallback = chain.tcp
        sink = self._sinks[listener.direction]
        chain.finish_http = sink.finish_http
        chain.finish_tcp = sink.finish_tcp
        chain.open_tcp = sink.open_tcp
        if listener.direction is Direction.INBOUND:
            chain.peer_of = self._peers
            chain.tell_caller = self._tell_caller
            chain.expect = self._expect
            chain.authorize_http, chain.authorize_tcp = self._authorization
        return chain

    def _fallback(self, listener: Listener) -> RoutePlan:
        """For hosts that no virtual host names (Istio `outboundTrafficPolicy`)."""
        if not self._snapshot.outbound_allow_any:
            return direct_route(
                "block_all",
                502,
                "outboundTrafficPolicy is REGISTRY_ONLY and no service has this host",
            )
        rest = self._snapshot.outbound_rest
        if not listener.captured and rest == _PASSTHROUGH:
            return direct_route(
                "block_all",
                502,
                f"no service has this host on {listener.name}, and a plain port has no original "
                "destination to pass it on to",
            )
        return forward_route("allow_any", self._builder.slot(rest))
