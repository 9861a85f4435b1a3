"""Hosts and routes of a port."""

from __future__ import annotations

import pytest

from meshproxy.model.route import (
    Cors,
    DirectResponse,
    Forward,
    HeaderOps,
    MatchKind,
    Redirect,
    RegexRewrite,
    Rewrite,
    Route,
    StringMatch,
    WeightedCluster,
)
from meshproxy.model.snapshot import Snapshot
from tests.unit.translate.support import Call, follow, snapshot_of

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, {name: http-b, port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: single}
spec: {clusterIP: 10.96.0.3, ports: [{name: http, port: 9000}]}
"""


def rule(http: str, hosts: str = "[a]", name: str = "v", more: str = "") -> str:
    return (
        f"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}{more}}}\nspec:\n  hosts: {hosts}\n  http:\n  {http}\n"
    )


def to(host: str, extra: str = "") -> str:
    return f"- {{route: [{{destination: {{host: {host}}}}}]{extra}}}"


def made(*texts: str) -> Snapshot:
    return snapshot_of(SERVICES, *texts)


def routes(*texts: str, port: int = 80, host: str = "a") -> tuple[Route, ...]:
    return made(*texts).hosts[f"{port}/{host}.default.svc.cluster.local"].routes


def targets(*texts: str, port: int = 80) -> list[str]:
    action = routes(*texts, port=port)[0].action
    assert isinstance(action, Forward)
    return [arm.cluster for arm in action.clusters]


def cluster(host: str, port: int = 80, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{host}.default.svc.cluster.local"


def test_without_a_rule() -> None:
    (only,) = routes()
    assert only.name == "default"
    assert only.action == Forward((WeightedCluster(cluster("a")),))


def test_domains() -> None:
    assert made().hosts["80/a.default.svc.cluster.local"].domains == (
        "a.default.svc.cluster.local",
        "a",
        "a.default.svc",
        "a.default",
        "a.default.svc.cluster.local.",
        "10.96.0.1",
    )


def test_a_rule_takes_the_place_of_the_default_on_every_port() -> None:
    text = rule(to("b"))
    assert targets(text) == [cluster("b")]
    # A service's only port need not be named.
    assert targets(text, port=81) == [cluster("b")]
    assert targets(rule(to("single"))) == [cluster("single", 9000)]
    assert targets(rule(to("nobody")), port=81) == [cluster("nobody", 81)]
    assert targets(rule(to("a, port: {number: 81}"))) == [cluster("a", 81)]


def test_each_match_is_a_route_and_their_order_stays() -> None:
    http = (
        "- name: one\n    match: [{name: x, uri: {prefix: /x}}, {uri: {exact: /y}}]\n"
        "    route: [{destination: {host: b}}]\n"
        "  - route: [{destination: {host: a}}]\n  - route: [{destination: {host: b}}]"
    )
    assert [route.name for route in routes(rule(http))] == ["one.x", "one", ""]


def test_nothing_follows_a_route_that_takes_all() -> None:
    http = (
        "- {match: [{uri: {prefix: /}}], route: [{destination: {host: b}}]}\n"
        "  - {match: [{uri: {prefix: /x}}], route: [{destination: {host: a}}]}"
    )
    assert len(routes(rule(http))) == 1
    narrowed = http.replace("{uri: {prefix: /}}", "{uri: {prefix: /}, method: {exact: GET}}")
    assert len(routes(rule(narrowed))) == 2


@pytest.mark.parametrize(
    ("match", "count"),
    [
        ("{port: 80}", 1),
        ("{port: 81}", 0),
        ("{gateways: [mesh]}", 1),
        ("{gateways: [g]}", 0),
        ("{sourceLabels: {app: me}}", 1),
        ("{sourceLabels: {app: you}}", 0),
        ("{sourceNamespace: default}", 1),
        ("{sourceNamespace: other}", 0),
    ],
)
def test_matches_that_are_settled_beforehand(match: str, count: int) -> None:
    text = rule(f"- {{name: mine, match: [{match}], route: [{{destination: {{host: b}}}}]}}")
    found = [route for route in routes(text) if route.name == "mine"]
    assert len(found) == count
    assert len(routes(text)) == 1  # a rule that is all for others leaves the default


def test_rules_for_gateways_alone_are_not_ours() -> None:
    text = rule(to("b")).replace("  hosts:", "  gateways: [g]\n  hosts:")
    assert routes(text)[0].name == "default"


def test_weights() -> None:
    http = (
        "- {route: [{destination: {host: a}, weight: 75}, {destination: {host: b}, weight: 25}, "
        "{destination: {host: single}, weight: 0}]}"
    )
    action = routes(rule(http))[0].action
    assert isinstance(action, Forward)
    assert [(arm.cluster, arm.weight) for arm in action.clusters] == [
        (cluster("a"), 75),
        (cluster("b"), 25),
    ]


def test_actions() -> None:
    timed = routes(rule(to("b", ", timeout: 2s, rewrite: {uri: /x, authority: c}")))[0].action
    assert timed == Forward((WeightedCluster(cluster("b")),), Rewrite("/x", "c"), 2.0)
    assert routes(rule("- {directResponse: {status: 418, body: {string: hi}}}"))[0].action == (
        DirectResponse(418, b"hi")
    )
    assert routes(rule("- {redirect: {uri: /n, port: 8080}}"))[0].action == Redirect(
        "/n", port=8080
    )
    assert routes(rule("- {redirect: {prefixRewrite: /x}}"))[0].action == Redirect(prefix="/x")
    regex = routes(rule(to("b", ", rewrite: {uriRegexRewrite: {match: a, rewrite: c}}")))[0].action
    assert isinstance(regex, Forward)
    assert regex.rewrite == Rewrite(regex=RegexRewrite("a", "c"))
    cors = routes(
        rule(
            to(
                "b",
                ", corsPolicy: {allowOrigins: [{exact: 'https://a'}], allowMethods: [GET, PUT], "
                "maxAge: 1m, allowCredentials: true, unmatchedPreflights: IGNORE}",
            )
        )
    )[0].action
    assert isinstance(cors, Forward)
    assert cors.cors == Cors(
        (StringMatch(MatchKind.EXACT, "https://a"),), "GET,PUT", "", "", "60", True, False
    )


@pytest.mark.parametrize(
    ("redirect", "port", "expected"),
    [
        ("{uri: /n, derivePort: FROM_REQUEST_PORT}", 81, 81),
        ("{uri: /n, derivePort: FROM_REQUEST_PORT}", 80, None),
        ("{uri: /n, derivePort: FROM_PROTOCOL_DEFAULT}", 81, None),
        ("{scheme: https, port: 443}", 80, None),
        ("{scheme: http, port: 443}", 80, 443),
    ],
)
def test_ports_of_redirects(redirect: str, port: int, expected: int | None) -> None:
    action = routes(rule(f"- {{redirect: {redirect}}}"), port=port)[0].action
    assert isinstance(action, Redirect)
    assert action.port == expected


def test_header_edits_and_hosts_that_are_set() -> None:
    http = (
        "- headers: {request: {set: {x: y}}}\n"
        "    route: [{destination: {host: b}, headers: {request: {set: {Host: c, z: w}}}}]"
    )
    (only,) = routes(rule(http))
    assert only.request_headers == HeaderOps(set=(("x", "y"), ("z", "w")))
    assert isinstance(only.action, Forward)
    assert only.action.rewrite == Rewrite(None, "c")
    assert only.action.clusters == (WeightedCluster(cluster("b")),)


def test_edits_of_one_destination_of_several_are_its_own() -> None:
    http = (
        "- headers: {request: {set: {x: y}}}\n"
        "    route:\n"
        "    - {destination: {host: a}, weight: 1, headers: {request: {set: {Host: c, z: w}}}}\n"
        "    - {destination: {host: b}, weight: 1}"
    )
    (only,) = routes(rule(http))
    assert only.request_headers == HeaderOps(set=(("x", "y"),))
    assert isinstance(only.action, Forward)
    assert only.action.rewrite is None
    first, second = only.action.clusters
    assert (first.request_headers, first.authority) == (HeaderOps(set=(("z", "w"),)), "c")
    assert (second.request_headers, second.authority) == (HeaderOps(), "")


def hit(text: str, host: str, **more: object) -> str:
    found = follow(made(text), "virtualOutbound", Call(80, host=host, **more))  # type: ignore[arg-type]
    return "/".join(found.clusters) or (found.route.name if found.route else "none")


@pytest.mark.parametrize("host", ["a", "a.default", "a.default.svc", "A.Default.svc.cluster.local"])
def test_spellings_of_a_rules_host(host: str) -> None:
    assert hit(rule(to("b"), f"[{host}]"), "a") == cluster("b")


def test_hosts_that_are_no_service_are_there_on_port_80() -> None:
    text = rule(to("b"), "[shop.example.com, '*.shop.example.com']")
    assert hit(text, "shop.example.com") == cluster("b")
    assert hit(text, "SHOP.example.com:80") == cluster("b")
    assert hit(text, "x.shop.example.com") == cluster("b")
    assert hit(text, "example.com") == "PassthroughCluster"
    assert not [key for key in made(text).hosts if key.startswith("81/shop")]


def test_the_oldest_of_two_rules_counts() -> None:
    old = rule(to("b"), name="z", more=", creationTimestamp: 2020-01-01T00:00:00Z")
    new = rule(to("single"), name="a", more=", creationTimestamp: 2021-01-01T00:00:00Z")
    assert routes(new, old)[0].action == Forward((WeightedCluster(cluster("b")),))


def test_a_rule_is_found_by_an_alias() -> None:
    alias = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: alias}\n"
        "spec: {type: ExternalName, externalName: a.default.svc.cluster.local}\n"
    )
    found = follow(made(alias), "virtualOutbound", Call(80, host="alias"))
    assert found.cluster == cluster("a")
    by_rule = follow(made(alias, rule(to("alias"), "[b]")), "virtualOutbound", Call(80, host="b"))
    assert by_rule.cluster == cluster("a")


def test_names_are_handed_out_once() -> None:
    """A service of another domain must not take a name that is somebody's own."""
    text = rule(to("b"), "[a.default]", name="first") + rule(to("single"), "[a]", name="second")
    found = made(text)
    hosts = [found.hosts[key] for key in found.route_configs["80"].hosts]
    domains = [domain for host in hosts for domain in host.domains]
    assert len(domains) == len(set(domains))


@pytest.mark.parametrize(
    "host", ["a.default.svc.cluster.local.", "x.wild.example.", "wild.example"]
)
def test_a_name_may_end_in_a_dot(host: str) -> None:
    wild = (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: wild}\n"
        "spec: {hosts: ['*.wild.example'], ports: [{number: 80, name: http, protocol: HTTP}]}\n"
    )
    found = follow(made(wild), "virtualOutbound", Call(80, host=host)).cluster
    expected = {
        "a.default.svc.cluster.local.": cluster("a"),
        "x.wild.example.": "outbound|80||*.wild.example",
    }
    assert found == expected.get(host, "PassthroughCluster")


def test_a_wildcard_of_the_own_namespace_is_not_everybodys_name() -> None:
    wild = (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: wild}\n"
        "spec: {hosts: ['*.default.svc.cluster.local'], "
        "ports: [{number: 80, name: http, protocol: HTTP}]}\n"
    )
    found = made(wild)
    assert follow(found, "virtualOutbound", Call(80, host="x.example")).cluster == (
        "PassthroughCluster"
    )
    assert follow(
        found, "virtualOutbound", Call(80, host="x.default.svc.cluster.local")
    ).cluster == ("outbound|80||*.default.svc.cluster.local")
