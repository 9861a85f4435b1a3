"""Helpers: YAML in, a translation out; and a call followed through a snapshot by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from meshproxy.base.addr import Address
from meshproxy.base.lookup import HostTable
from meshproxy.model.listener import Application, FilterChain, Listener
from meshproxy.model.route import Forward, Route, VirtualHost
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.tls import ServerMode
from meshproxy.policy.judge import judge_of_connections, judge_of_requests
from meshproxy.record import Record, Secured
from meshproxy.route.l4 import reference_l4
from meshproxy.route.table import reference_routes
from meshproxy.translate import (
    Library,
    Options,
    Problem,
    Severity,
    SourceText,
    Translation,
    translate,
)
from meshproxy.translate.read import read_object
from meshproxy.wire.heads import HTTP11, RequestHead, index

ME = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: me, namespace: default}
spec: {address: 10.0.0.1, labels: {app: me}}
"""


def translated(*texts: str, me: str = "default/me", **options: object) -> Translation:
    """The texts as files ``0.yaml``, ``1.yaml``… seen by one workload."""
    library = Library()
    sources = [SourceText(f"{at}.yaml", text) for at, text in enumerate(texts)]
    documents, problems = library.read(sources)
    namespace, _, name = me.partition("/")
    chosen = (namespace, name) if me else None
    return translate(documents, Options(workload=chosen, **options), None, problems)  # type: ignore[arg-type]


def snapshot_of(*texts: str, me: str = "default/me", **options: object) -> Snapshot:
    """The snapshot of texts without errors, beside the workload `ME`."""
    found = translated(ME, *texts, me=me, **options)
    assert not found.errors, [str(each) for each in found.errors]
    assert found.snapshot is not None
    return found.snapshot


def problems_of(*texts: str, **options: object) -> list[Problem]:
    """What was found beside notes, and beside the workload that is added here."""
    found = translated(*texts, ME, **options)
    return [each for each in found.problems if each.severity is not Severity.NOTE]


def one_problem(*texts: str) -> Problem:
    found = problems_of(*texts)
    assert len(found) == 1, [str(each) for each in found]
    return found[0]


@dataclass(frozen=True)
class Call:
    """A connection of the app or of a peer, and the request on it if it is HTTP.

    ``tls``: ``plaintext``, ``tls``, or ``mtls`` if the client has a certificate; ``alpn`` is what
    it offers.
    """

    port: int
    address: str = "192.0.2.1"
    http: bool = True
    host: str = "nobody.example"
    path: str = "/"
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    sni: str = ""
    tls: str = "plaintext"
    alpn: str = ""


@dataclass(frozen=True)
class Outcome:
    """Where a call ended: clusters by weight, and what was passed on the way.

    ``fault``: why it got no further, in the words of Istio's simulation.
    """

    clusters: dict[str, int]
    chain: FilterChain
    host: VirtualHost | None = None
    route: Route | None = None
    fault: str = ""

    @property
    def cluster(self) -> str:
        (only,) = self.clusters
        return only


def follow(snapshot: Snapshot, listener: str, call: Call) -> Outcome:
    """What the data path would do, said plainly."""
    chain = _chain(snapshot.listeners[listener], call)
    fault, plain = _enter(chain, call)
    if fault:
        return Outcome({}, chain, fault=fault)
    http = call.http and plain and chain.application is not Application.TCP
    if http and chain.route_config:
        host = _host(snapshot, chain.route_config, call.host)
        if host is None:
            unknown = snapshot.outbound_rest if snapshot.outbound_allow_any else "block_all"
            return Outcome({unknown: 1}, chain)
        return _route(host, chain, call)
    at = reference_l4(chain.rules, call.address, call.sni)
    route = chain.tcp if at is None else chain.rules[at]
    assert route is not None
    return Outcome({arm.cluster: arm.weight for arm in route.clusters}, chain)


def _enter(chain: FilterChain, call: Call) -> tuple[str, bool]:
    """What keeps a call out, and whether its bytes are in the clear to us once it is in."""
    if call.tls == "plaintext":
        if chain.refuse_plaintext:
            return "no-filter-chain", False
        return _odd(chain, call.http), True
    if chain.tls is not None:
        # A caller in the mesh wants to know who we are, which such a certificate does not say.
        wanted = {ServerMode.SIMPLE: "tls", ServerMode.MUTUAL: "mtls"}.get(chain.tls.mode, call.tls)
        return (_odd(chain, call.http), True) if call.tls == wanted else ("mtls-error", False)
    if chain.mtls and (chain.refuse_plaintext or call.alpn.startswith("istio")):
        return (_odd(chain, call.http), True) if call.tls == "mtls" else ("mtls-error", False)
    return _odd(chain, False), False


def _odd(chain: FilterChain, http: bool) -> str:
    """All that comes to a port of the app which is declared HTTP has to be that."""
    strict = chain.application is Application.HTTP and not chain.route_config
    return "protocol-error" if strict and not http else ""


def _chain(listener: Listener, call: Call) -> FilterChain:
    def fits(text: str) -> bool:
        return ip_address(call.address) in ip_network(text)

    def exactness(chain: FilterChain) -> tuple[int, bool]:
        lengths = [ip_network(text).prefixlen for text in chain.ips if fits(text)]
        return max(lengths, default=-1), bool(chain.port)

    if not listener.captured:
        return listener.chains[0]
    fitting = [
        chain
        for chain in listener.chains
        if chain.port in (0, call.port) and (not chain.ips or any(map(fits, chain.ips)))
    ]
    return max(fitting, key=exactness)


def _host(snapshot: Snapshot, config: str, host: str) -> VirtualHost | None:
    hosts = [snapshot.hosts[key] for key in snapshot.route_configs[config].hosts]
    entries = [(domain, each) for each in hosts for domain in each.domains]
    by_port = snapshot.route_configs[config].by_port
    return HostTable(entries, by_port=by_port).find(host.encode())


def _route(host: VirtualHost, chain: FilterChain, call: Call) -> Outcome:
    headers = [(name.encode(), value.encode()) for name, value in call.headers.items()]
    head = RequestHead(
        call.method.encode(),
        call.path.encode(),
        call.host.encode(),
        HTTP11,
        headers,
        index(headers),
    )
    at = reference_routes(host.routes, head)
    if at is None:
        return Outcome({}, chain, host)
    route = host.routes[at]
    clusters = {}
    if isinstance(route.action, Forward):
        clusters = {arm.cluster: arm.weight for arm in route.action.clusters}
    return Outcome(clusters, chain, host, route)


def refusal(snapshot: Snapshot, path: str = "/", identity: str = "") -> tuple[str, str]:
    """Why a request is refused, and why a connection is; "" where it is not."""
    domains = (snapshot.trust_domain, *snapshot.trust_domain_aliases)
    record = Record(0.0, 0.0, Address("10.9.9.9", 4000), Address("10.0.0.1", 80))
    record.secured = Secured(identity) if identity else None
    http = judge_of_requests(snapshot.authorization, domains)
    tcp = judge_of_connections(snapshot.authorization, domains)
    head = RequestHead(b"GET", path.encode(), b"mine", HTTP11, [], {})
    answers = (http(record, head) if http else None, tcp(record) if tcp else None)
    return tuple("" if each is None else each.reason for each in answers)  # type: ignore[return-value]


def names(snapshot: Snapshot, config: str) -> dict[str, list[str]]:
    """The first domain of each virtual host of a table, with the clusters of its routes."""
    found: dict[str, list[str]] = {}
    for key in snapshot.route_configs[config].hosts:
        host = snapshot.hosts[key]
        found[host.domains[0]] = sorted(
            arm.cluster
            for route in host.routes
            if isinstance(route.action, Forward)
            for arm in route.action.clusters
        )
    return found


def typed(text: str) -> tuple[Any, list[Problem]]:
    """The typed form of one object, and what was found in it."""
    documents, problems = Library().read([SourceText("a.yaml", text)])
    (document,) = documents
    reading = read_object(document.raw)
    return reading.value, problems + [document.problem(each) for each in reading.findings]


def said(text: str) -> list[tuple[str, str]]:
    """What was found in one object: severity and field."""
    return [(each.severity.value, each.field) for each in typed(text)[1]]


def check_fault(text: str, field: str, *words: str, severity: Severity = Severity.ERROR) -> None:
    """One finding of the severity is at the field (or where it is missing), with these words."""
    found = [each for each in typed(text)[1] if each.severity is severity]
    at = [each for each in found if each.field == field]
    assert at, [str(each) for each in found]
    problem = at[0]
    for word in words:
        assert word in f"{problem.text} {problem.mend}", str(problem)
    steps = field.replace("]", "").replace("[", ".").split(".")
    line = text.splitlines()[problem.line - 1]
    named = any(step.strip('"') in line for step in steps if not step.isdigit())
    assert named or steps[-1].isdigit() or steps[-2].isdigit(), f"{line!r} for {field}"
