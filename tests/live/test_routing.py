"""Where requests go: weights, matches, rewrites, redirects, header operations, hosts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.peers import Message, Peer, ask
from tests.support.servers import App
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    me,
    plain,
    route_to,
    service,
    settings,
    subsets,
    virtual_service,
    workload,
)


@dataclass(frozen=True)
class Place:
    """Services `shop` and `split` (versions v1, v2), `other`, `strict`, `ported` on two ports."""

    proxy: Sidecar
    port: int
    second: int

    def ask(self, path: str = "/", method: str = "GET", **more: object) -> Message:
        return ask(self.port, path, method, more.pop("host", "shop"), more.pop("headers", ()))  # type: ignore[arg-type]

    def app(self, path: str = "/", method: str = "GET", **more: object) -> str:
        """Which app answered."""
        return str(self.ask(path, method, **more).json["app"])


RULES = [
    {"match": [{"uri": {"exact": "/exact"}}], "route": [route_to("shop", subset="v2")]},
    {"match": [{"uri": {"prefix": "/v2/"}}], "route": [route_to("shop", subset="v2")]},
    {"match": [{"uri": {"regex": "/r[0-9]+"}}], "route": [route_to("shop", subset="v2")]},
    {
        "match": [{"uri": {"exact": "/IGNORE"}, "ignoreUriCase": True}],
        "route": [route_to("shop", subset="v2")],
    },
    {"match": [{"method": {"exact": "PUT"}}], "route": [route_to("shop", subset="v2")]},
    {
        "match": [{"headers": {"x-user": {"exact": "jason"}, "x-beta": {"regex": ".+"}}}],
        "route": [route_to("shop", subset="v2")],
    },
    {
        "match": [{"authority": {"prefix": "shop.default"}, "uri": {"exact": "/authority"}}],
        "route": [route_to("shop", subset="v2")],
    },
    {
        "match": [
            {"uri": {"exact": "/either"}, "method": {"exact": "POST"}},
            {"uri": {"exact": "/or"}},
        ],
        "route": [route_to("shop", subset="v2")],
    },
    {
        "match": [{"uri": {"prefix": "/api/"}}],
        "rewrite": {"uri": "/internal/"},
        "route": [route_to("shop", subset="v1")],
    },
    {
        "match": [{"uri": {"exact": "/host"}}],
        "rewrite": {"authority": "rewritten.example"},
        "route": [route_to("shop", subset="v1")],
    },
    {
        "match": [{"uri": {"exact": "/old"}}],
        "redirect": {"uri": "/new", "authority": "elsewhere.example", "redirectCode": 302},
    },
    {"match": [{"uri": {"prefix": "/moved"}}], "redirect": {"scheme": "https"}},
    {
        "match": [{"uri": {"exact": "/operations"}}],
        "headers": {
            "request": {"set": {"x-set": "route"}, "add": {"x-add": "route"}, "remove": ["x-gone"]},
            "response": {"add": {"x-answer": "route"}, "remove": ["x-app"]},
        },
        "route": [
            route_to(
                "shop",
                subset="v1",
                headers={"request": {"add": {"x-add": "arm"}}, "response": {"set": {"x-arm": "1"}}},
            )
        ],
    },
    {
        "match": [{"uri": {"exact": "/teapot"}}],
        "directResponse": {"status": 418, "body": {"string": "short and stout"}},
    },
    {"route": [route_to("shop", subset="v1")]},
]


@pytest.fixture(scope="module", params=["fast", "h11"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    port, second = free_port(), free_port()
    by_port = [
        {"match": [{"port": second}], "route": [route_to("other")]},
        {"route": [route_to("shop", subset="v1")]},
    ]
    with App("v1") as v1, App("v2") as v2, App("other") as other, App("hard") as hard:
        ported = service("ported", port)
        ported["spec"]["ports"].append({"name": "http-2", "port": second})
        other_service = service("other", port)
        other_service["spec"]["ports"].append({"name": "http-2", "port": second})
        text = config(
            me(),
            service("shop", port),
            other_service,
            ported,
            service("split", port, selector={"app": "shop"}),
            service("strict", port),
            workload("shop-1", "shop", {"http": v1.port}, "v1"),
            workload("shop-2", "shop", {"http": v2.port}, "v2"),
            workload("other-1", "other", {"http": other.port, "http-2": other.port}),
            workload("hard-1", "strict", {"http": hard.port}),
            subsets("shop", "v1", "v2"),
            subsets("split", "v1", "v2", "v3"),
            virtual_service("shop", *RULES),
            virtual_service("ported", *by_port),
            virtual_service(
                "split",
                {
                    "match": [{"uri": {"prefix": "/none"}}],
                    "route": [
                        route_to("split", subset="v1", weight=100),
                        route_to("split", subset="v2", weight=0),
                    ],
                },
                {
                    "route": [
                        route_to("split", subset="v1", weight=90),
                        route_to("split", subset="v2", weight=10),
                    ]
                },
            ),
            virtual_service(
                "strict", {"match": [{"uri": {"prefix": "/only"}}], "route": [route_to("strict")]}
            ),
            plain([(port, "HTTP"), (second, "HTTP")]),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(text, codec=request.param, workers=2) as proxy:
            yield Place(proxy, port, second)


# Weights.


def draws(place: Place, path: str, count: int) -> Counter[str]:
    with Peer.connect(place.port) as client:
        return Counter(client.ask(path, host="split").json["app"] for _ in range(count))


def test_weights_are_kept_to(place: Place) -> None:
    """90/10 within five standard deviations: one run in a million would miss that by chance."""
    count = 2000
    seen = draws(place, "/", count)
    assert seen["v1"] + seen["v2"] == count
    assert abs(seen["v2"] - count * 0.1) < 5 * math.sqrt(count * 0.1 * 0.9)


def test_weight_0_gets_nothing(place: Place) -> None:
    assert draws(place, "/none", 200) == {"v1": 200}


# Matches.


@pytest.mark.parametrize(
    ("path", "app"),
    [
        ("/", "v1"),
        ("/exact", "v2"),
        ("/exact?query=is-no-part", "v2"),
        ("/exact/", "v1"),
        ("/Exact", "v1"),
        ("/v2/x", "v2"),
        ("/v2", "v1"),
        ("/r42", "v2"),
        ("/r42?x=1", "v2"),
        ("/r42x", "v1"),
        ("/ignore", "v2"),
        ("/IgnorE", "v2"),
        ("/or", "v2"),
        ("/either", "v1"),
    ],
)
def test_matches_on_uri(place: Place, path: str, app: str) -> None:
    assert place.app(path) == app


def test_matches_on_method(place: Place) -> None:
    assert place.app("/", "PUT") == "v2"
    assert place.app("/either", "POST") == "v2"
    assert place.app("/either", "PATCH") == "v1"


@pytest.mark.parametrize(
    ("headers", "app"),
    [
        ([("X-User", "jason"), ("X-Beta", "1")], "v2"),
        ([("X-User", "jason")], "v1"),
        ([("X-User", "Jason"), ("X-Beta", "1")], "v1"),
        ([("X-User", "jason"), ("X-User", "x"), ("X-Beta", "1")], "v2"),
        ([("X-User", "jason,x"), ("X-Beta", "1")], "v1"),
        ([("X-User", "jason"), ("X-Beta", "")], "v1"),
    ],
)
def test_matches_on_headers(place: Place, headers: list[tuple[str, str]], app: str) -> None:
    """All of them must fit; of one that is repeated, one value."""
    assert place.app("/", headers=headers) == app


def test_matches_on_authority(place: Place) -> None:
    assert place.app("/authority", host="shop.default.svc.cluster.local") == "v2"
    assert place.app("/authority", host="shop") == "v1"


def test_matches_on_port(place: Place) -> None:
    assert ask(place.port, host="ported").json["app"] == "v1"
    assert ask(place.second, host="ported").json["app"] == "other"


@pytest.mark.parametrize(
    "host",
    [
        "shop",
        "SHOP",
        "shop.default",
        "shop.default.svc",
        "shop.default.svc.cluster.local",
        "shop:{port}",
    ],
)
def test_a_service_has_all_its_names(place: Place, host: str) -> None:
    assert place.app("/", host=host.format(port=place.port)) == "v1"


@pytest.mark.parametrize("host", ["shopp", "shop.other", "shop.default.svc.cluster", "localhost"])
def test_other_names_are_nobodys(place: Place, host: str) -> None:
    """A plain port has no original destination to pass them on to: 502, whatever the policy."""
    answer = place.ask(host=host)
    assert answer.status == 502
    assert answer.text


# What is changed on the way.


@pytest.mark.parametrize(
    ("path", "seen"),
    [("/api/a?b=c", "/internal/a?b=c"), ("/api/", "/internal/"), ("/api", "/api")],
)
def test_a_prefix_is_rewritten(place: Place, path: str, seen: str) -> None:
    answer = place.ask(path)
    assert answer.seen.target == seen
    original = answer.seen.get("x-envoy-original-path")
    assert original == (path if seen != path else None)


def test_the_log_has_the_path_as_it_was_asked(place: Place) -> None:
    place.ask("/api/logged")
    assert '"GET /api/logged HTTP/1.1"' in place.proxy.access("/logged")


def test_the_authority_is_rewritten(place: Place) -> None:
    seen = place.ask("/host").seen
    assert seen.get("host") == "rewritten.example"


def test_a_redirect(place: Place) -> None:
    answer = place.ask("/old?q=1")
    assert answer.status == 302
    assert answer.get("location") == "http://elsewhere.example/new?q=1"
    assert answer.body == b""
    assert " 302 - direct_response " in place.proxy.access("/old?q=1")


def test_a_redirect_of_the_scheme(place: Place) -> None:
    answer = place.ask("/moved/x?y=z", host=f"shop:{place.port}")
    assert answer.status == 301
    assert answer.get("location") == f"https://shop:{place.port}/moved/x?y=z"


def test_a_direct_response(place: Place) -> None:
    answer = place.ask("/teapot")
    assert (answer.status, answer.text) == (418, "short and stout")


def test_header_operations(place: Place) -> None:
    headers = [("X-Set", "client"), ("X-Add", "client"), ("X-Gone", "client")]
    answer = place.ask("/operations", headers=headers)
    seen = answer.seen
    assert seen.all("x-set") == ["route"]
    assert seen.get("x-gone") is None
    assert sorted(seen.all("x-add")) == ["arm", "client", "route"]
    assert seen.all("x-add")[0] == "client"
    assert answer.get("x-app") is None
    assert answer.get("x-answer") == "route"
    assert answer.get("x-arm") == "1"


def test_a_host_whose_rules_do_not_match_is_404(place: Place) -> None:
    assert place.app("/only", host="strict") == "hard"
    answer = place.ask("/missing", host="strict")
    assert answer.status == 404
    assert "(NR)" in answer.text
    assert " 404 NR route_not_found " in place.proxy.access("/missing")


def test_rules_hold_inside_one_connection(place: Place) -> None:
    """Each request is routed by itself, whatever the one before it was."""
    with Peer.connect(place.port) as client:
        apps = [
            client.ask(path, host=host).json["app"]
            for path, host in [
                ("/", "shop"),
                ("/exact", "shop"),
                ("/", "other"),
                ("/only", "strict"),
                ("/", "shop"),
            ]
        ]
    assert apps == ["v1", "v2", "other", "hard", "v1"]


def test_unknown_hosts_go_to_the_egress_proxy() -> None:
    """Even from a plain port, which could not pass them on by itself."""
    port, gate = free_port(), free_port()
    with App("gate") as app:
        opened = plain([(port, "HTTP")])
        opened["spec"]["outboundTrafficPolicy"] = {
            "mode": "ALLOW_ANY",
            "egressProxy": {"host": "gate", "port": {"number": gate}},
        }
        text = config(
            me(),
            service("shop", port),
            service("gate", gate),
            workload("gate", "gate", {"http": app.port}),
            opened,
        )
        with Sidecar(text) as proxy:
            answer = ask(port, "/", "GET", "www.example.com")
            assert (answer.status, answer.json["app"]) == (200, "gate")
            assert ask(port, "/", "GET", "shop").status == 503  # known, and without an endpoint
            dump = str(proxy.config_dump()["configs"])
            assert "allow_any" in dump
            assert "block_all" not in dump


def test_a_plain_port_as_the_apps_http_proxy() -> None:
    """As with ``http_proxy=http://127.0.0.1:PORT``: absolute URLs, and services on any port."""
    port = free_port()
    with App("shop") as shop, App("other") as other:
        text = config(
            me(),
            service("shop", 80),
            service("other", 8080),
            workload("shop", "shop", {"http": shop.port}),
            workload("other", "other", {"http": other.port}),
            plain([(port, "HTTP_PROXY")]),
        )
        with Sidecar(text):
            for host, app in (("shop", "shop"), ("shop:80", "shop"), ("other:8080", "other")):
                answer = ask(port, f"http://{host}/x", "GET", host)
                assert (answer.status, answer.json["app"]) == (200, app)
            assert ask(port, "http://other/x", "GET", "other").status == 502
