"""Policies drawn at random, for us and for a real Envoy told what Istio would tell it.

Each set of policies stands on two listeners, for HTTP and for TCP. Callers come with certificates
of a few identities or without one, from a few addresses, by a few server names; the chance is from
a fixed seed.
"""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshproxy.base.addr import Address
from meshproxy.model.snapshot import Snapshot
from meshproxy.policy.judge import judge_of_connections, judge_of_requests
from meshproxy.record import Record, Secured
from meshproxy.wire.heads import HTTP11, RequestHead, index
from tests.support import envoy, rbac
from tests.support.envoy import EnvoyProcess
from tests.support.peers import LOCAL, PATIENCE, Ended, Peer
from tests.support.pki import CERTIFICATE, KEY, ROOTS, Authority, Leaf
from tests.support.sidecar import free_port, istio
from tests.unit.translate.support import snapshot_of

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(envoy.program() is None, reason="envoy is missing"),
]

_TYPES = "type.googleapis.com/envoy.extensions."
Json = dict[str, Any]

IDENTITIES = [
    "",
    "spiffe://cluster.local/ns/shop/sa/web",
    "spiffe://cluster.local/ns/shop-2/sa/api",
    "spiffe://other.td/ns/shop/sa/web",
    "spiffe://cluster.local/ns/shop/pod/p/sa/web/x/y",
]
SOURCES = [LOCAL, "127.0.0.2", "127.1.0.1"]
NAMES = ["shop.example", "web.shop.example", "other"]
SETS = 40
CALLERS = 3
REQUESTS = 12

BLOCKS = ["127.0.0.1", "127.0.0.2", "127.0.0.0/16", "127.1.0.0/16", "10.0.0.0/8", "fd00::/8"]
REMOTES = ["1.2.3.4", "1.2.0.0/16", "9.9.9.9", "127.0.0.0/8", "::1"]
VALUES: Mapping[str, list[str]] = {
    "principals": [
        *("cluster.local/ns/shop/sa/web", "cluster.local/ns/shop/*", "*/sa/web", "*", "other.td*"),
        *("*/ns/shop/sa/web", "cluster.local/ns/shop/sa/we", "*.x/y"),
    ],
    "namespaces": ["shop", "shop*", "*2", "*", "sho", "default"],
    "serviceAccounts": ["shop/web", "web", "shop-2/api", "default/web"],
    "trustDomains": ["cluster.local", "other.td", "*", "cluster*", "*.td", "cluster.loca"],
    "ipBlocks": BLOCKS,
    "remoteIpBlocks": REMOTES,
    "hosts": ["shop", "SHOP.example", "*.example", "shop*", "*", "shop:80"],
    "methods": ["GET", "POST", "P*", "*T", "*", "get"],
    "paths": [
        *("/a", "/a*", "*.txt", "*", "/a/{*}", "/{**}/b", "/a/{*}/{**}", "/{*}/b", "/x=y/{*}"),
    ],
    "ports": ["1", "PORT"],
    "source.ip": BLOCKS,
    "remote.ip": REMOTES,
    "source.namespace": ["shop", "*2", "*"],
    "source.principal": ["*/sa/web", "*", "cluster.local/ns/shop/*"],
    "destination.ip": ["127.0.0.1", "127.0.0.0/8", "10.0.0.1"],
    "destination.port": ["1", "PORT"],
    "connection.sni": ["shop.example", "*.example", "web*", "*"],
    "request.headers[x-a]": ["one", "o*", "*o", "*", "one,two"],
    "request.headers[X-B]": ["*", "1"],
}
SOURCE = ["principals", "namespaces", "trustDomains", "ipBlocks", "remoteIpBlocks"]
OPERATION = ["hosts", "methods", "paths", "ports"]
WHEN = [key for key in VALUES if "." in key]


def _fields(chance: random.Random, names: list[str], port: int) -> Json:
    found: Json = {}
    for name in chance.sample(names, chance.choice([1, 1, 2])):
        negated = f"not{name[0].upper()}{name[1:]}"
        for field in [name] if chance.random() < 0.65 else [negated, *chance.sample([name], 1)]:
            found[field] = _some(chance, name, port)
            if field == negated and chance.random() < 0.5:
                break
    return found


def _some(chance: random.Random, name: str, port: int) -> list[str]:
    given = chance.sample(VALUES[name], min(chance.choice([1, 1, 2]), len(VALUES[name])))
    return [str(port) if each == "PORT" else each for each in given]


def _rule(chance: random.Random, port: int) -> Json:
    rule: Json = {}
    if chance.random() < 0.7:
        names = [["serviceAccounts", "ipBlocks"], SOURCE, SOURCE]
        rule["from"] = [
            {"source": _fields(chance, chance.choice(names), port)}
            for _ in range(chance.choice([1, 1, 2]))
        ]
    if chance.random() < 0.7:
        rule["to"] = [
            {"operation": _fields(chance, OPERATION, port)} for _ in range(chance.choice([1, 1, 2]))
        ]
    if chance.random() < 0.4:
        key = chance.choice(WHEN)
        kinds = chance.choice([["values"], ["notValues"], ["values", "notValues"]])
        rule["when"] = [{"key": key, **{kind: _some(chance, key, port) for kind in kinds}}]
    return rule


def _policies(chance: random.Random, port: int) -> list[Json]:
    found = []
    for at in range(chance.choice([1, 1, 2, 3])):
        action = chance.choice(["ALLOW", "ALLOW", "DENY", "AUDIT"])
        rules = [_rule(chance, port) for _ in range(chance.choice([1, 2, 3]))]
        found.append(istio("AuthorizationPolicy", f"p-{at}", {"action": action, "rules": rules}))
    return found


@dataclass(frozen=True)
class Place:
    """One set of policies: for ports ``http`` and ``tcp`` of Envoy, and for us."""

    http: int
    tcp: int
    of_http: Snapshot
    of_tcp: Snapshot
    text: str


def _tls(authority: Authority) -> Json:
    leaf = authority.issue("shop/server")

    def inline(pem: bytes) -> Json:
        return {"inline_string": pem.decode()}

    common = {
        "tls_certificates": [
            {"certificate_chain": inline(leaf.certificate), "private_key": inline(leaf.key)}
        ],
        "validation_context": {"trusted_ca": inline(authority.roots)},
    }
    kind = _TYPES + "transport_sockets.tls.v3.DownstreamTlsContext"
    return {
        "name": "tls",
        "typed_config": {"@type": kind, "common_tls_context": common},
    }


def _listener(port: int, tls: Json, filters: list[Json]) -> Json:
    inspector = {"@type": _TYPES + "filters.listener.tls_inspector.v3.TlsInspector"}
    return {
        "listener_filters": [{"name": "tls_inspector", "typed_config": inspector}],
        "name": f"{port}",
        "address": {"socket_address": {"address": LOCAL, "port_value": port}},
        "filter_chains": [{"filters": filters, "transport_socket": tls}],
    }


def _http(port: int, tls: Json, filters: list[Json]) -> Json:
    """Answers 200, or a refusal with its reason."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    reason = {"text_format_source": {"inline_string": "%RESPONSE_CODE_DETAILS%"}}
    router = {"@type": _TYPES + "filters.http.router.v3.Router"}
    manager = {
        "@type": _TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "rbac",
        "use_remote_address": False,
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]},
        "local_reply_config": {"body_format": reason},
        "http_filters": [*filters, {"name": "router", "typed_config": router}],
    }
    return _listener(port, tls, [{"name": "http", "typed_config": manager}])


def _tcp(port: int, tls: Json, filters: list[Json]) -> Json:
    echo = {"@type": _TYPES + "filters.network.echo.v3.Echo"}
    return _listener(port, tls, [*filters, {"name": "echo", "typed_config": echo}])


@dataclass
class World:
    authority: Authority
    places: list[Place]
    contexts: dict[str, ssl.SSLContext]

    def connect(self, port: int, identity: str, name: str, source: str) -> Peer:
        plain = socket.create_connection((LOCAL, port), PATIENCE, source_address=(source, 0))
        return Peer(self.contexts[identity].wrap_socket(plain, server_hostname=name))


def _context(leaf: Leaf | None, authority: Authority, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    folder.mkdir()
    (folder / ROOTS).write_bytes(authority.roots)
    context.load_verify_locations(folder / ROOTS)
    if leaf is not None:
        leaf.write(folder)
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    chance = random.Random(5)
    authority = Authority()
    tls = _tls(authority)
    places, listeners = [], []
    for _ in range(SETS):
        http, tcp = free_port(), free_port()
        seed = chance.random()
        of = {port: _policies(random.Random(seed), port) for port in (http, tcp)}
        listeners.append(_http(http, tls, rbac.filters(of[http], tcp=False)))
        listeners.append(_tcp(tcp, tls, rbac.filters(of[tcp], tcp=True)))
        texts = {port: yaml.safe_dump_all(found) for port, found in of.items()}
        places.append(
            Place(http, tcp, snapshot_of(texts[http]), snapshot_of(texts[tcp]), texts[http])
        )
    folder = tmp_path_factory.mktemp("rbac")
    contexts = {}
    for at, identity in enumerate(IDENTITIES):
        leaf = authority.issue(identity) if identity else None
        contexts[identity] = _context(leaf, authority, folder / f"{at}")
    process = EnvoyProcess(places[-1].tcp)
    process.configure({"static_resources": {"listeners": listeners}})
    with process:
        yield World(authority, places, contexts)


def _record(port: int, identity: str, name: str, source: str) -> Record:
    record = Record(0.0, 0.0, Address(source, 1), Address(LOCAL, port))
    record.secured = Secured(identity, server_name=name)
    return record


def _head(chance: random.Random) -> RequestHead:
    pairs: list[tuple[bytes, bytes]] = []
    forwarded = chance.choice([b"", b"", b"1.2.3.4", b"1.2.3.4, 9.9.9.9", b"1.2.3.4,x", b"::1"])
    if forwarded:
        pairs.append((b"X-Forwarded-For", forwarded))
    values = [[], [b"one"], [b"two"], [b"one", b"two"], [b"one,two"], [b""]]
    pairs += [(b"X-A", value) for value in chance.choice(values)]
    if chance.random() < 0.3:
        pairs.append((b"x-b", b"1"))
    return RequestHead(
        chance.choice([b"GET", b"POST", b"PUT"]),
        chance.choice([b"/a", b"/a?b", b"/a/b", b"/ab.txt", b"/a/c/d/b", b"/x=y/z", b"/a/*", b"/"]),
        chance.choice([b"shop", b"SHOP", b"shop.Example", b"shop:80", b"other"]),
        HTTP11,
        pairs,
        index(pairs),
    )


def _ask(peer: Peer, head: RequestHead) -> str:
    """ "", or why it was refused."""
    lines = [
        b"%b %b HTTP/1.1" % (head.method, head.path),
        b"Host: " + head.authority,
        *(b"%b: %b" % pair for pair in head.headers),
        b"Content-Length: 0",
    ]
    answer = peer.send(b"\r\n".join(lines) + b"\r\n\r\n").answer(head.method.decode())
    assert answer.status in (200, 403)
    return "" if answer.status == 200 else answer.text


def test_requests(world: World) -> None:
    chance = random.Random(6)
    seen: dict[bool, int] = {True: 0, False: 0}
    for place in world.places:
        found = place.of_http
        judge = judge_of_requests(found.authorization, (found.trust_domain,))
        assert judge is not None
        for _ in range(CALLERS):
            caller = chance.choice(IDENTITIES), chance.choice(NAMES), chance.choice(SOURCES)
            with world.connect(place.http, *caller) as peer:
                for _ in range(REQUESTS):
                    head = _head(chance)
                    denial = judge(_record(place.http, *caller), head)
                    ours = "" if denial is None else denial.details
                    theirs = _ask(peer, head)
                    what = (caller, vars_of(head), place.text)
                    assert ours == theirs, what
                    seen[not ours] += 1
    assert min(seen.values()) > 100, seen


def vars_of(head: RequestHead) -> tuple[Any, ...]:
    return head.method, head.path, head.authority, head.headers


def test_connections(world: World) -> None:
    chance = random.Random(7)
    seen: dict[bool, int] = {True: 0, False: 0}
    for place in world.places:
        found = place.of_tcp
        judge = judge_of_connections(found.authorization, (found.trust_domain,))
        for _ in range(2 * CALLERS):
            caller = chance.choice(IDENTITIES), chance.choice(NAMES), chance.choice(SOURCES)
            allowed = judge is None or judge(_record(place.tcp, *caller)) is None
            with world.connect(place.tcp, *caller) as peer:
                try:
                    theirs = peer.send(b"x").exactly(1) == b"x"
                except (OSError, Ended):
                    theirs = False
            assert allowed == theirs, (caller, place.text)
            seen[allowed] += 1
    assert min(seen.values()) > 20, seen
