"""Everything that a VirtualService and a DestinationRule say here, in Envoy's shapes."""

from __future__ import annotations

from meshproxy.model.cluster import Keepalive
from meshproxy.model.route import (
    Cors,
    Forward,
    HeaderMatch,
    MatchKind,
    Redirect,
    RegexRewrite,
    Rewrite,
    RouteMatch,
    StringMatch,
    TcpRoute,
    WeightedCluster,
)
from meshproxy.show.clusters import cluster_json
from meshproxy.show.listeners import listener_json
from meshproxy.show.routes import route_json
from tests.support.models import a_cluster, a_route, outbound


def test_a_route() -> None:
    cors = Cors((StringMatch(MatchKind.PREFIX, "https://a"),), "GET", credentials=True)
    arms = (WeightedCluster("a", 1, authority="x"), WeightedCluster("b", 2))
    rewrite = Rewrite(regex=RegexRewrite("/a(.*)", r"/b\1"))
    match = RouteMatch(headers=(HeaderMatch("x", StringMatch(MatchKind.EXACT, "1"), True),))
    shown = route_json(a_route(action=Forward(arms, rewrite, 0.0, cors), match=match))
    assert shown["match"]["headers"][0]["treat_missing_header_as_empty"] is True
    action = shown["route"]
    assert action["regex_rewrite"] == {
        "pattern": {"regex": "/a(.*)"},
        "substitution": r"/b\1",
    }
    assert action["weighted_clusters"]["clusters"] == [
        {"name": "a", "weight": 1, "host_rewrite_literal": "x"},
        {"name": "b", "weight": 2},
    ]
    policy = shown["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert policy["allow_origin_string_match"] == [{"prefix": "https://a"}]
    assert (policy["allow_methods"], policy["allow_credentials"]) == ("GET", True)
    assert policy["forward_not_matching_preflights"] is True


def test_a_redirect_of_a_prefix() -> None:
    shown = route_json(a_route(action=Redirect(prefix="/v2")))
    assert shown["redirect"]["prefix_rewrite"] == "/v2"


def test_keep_alive_probes() -> None:
    shown = cluster_json(a_cluster(keepalive=Keepalive(3, 60)))
    probes = shown["upstream_connection_options"]["tcp_keepalive"]
    assert (probes["keepalive_probes"], probes["keepalive_time"]) == (3, 60)
    assert "keepalive_interval" not in probes


def test_rules_of_a_chain() -> None:
    rules = (
        TcpRoute((WeightedCluster("a"),), sni=("a.example",)),
        TcpRoute((WeightedCluster("b"),), subnets=("10.1.2.3/16",)),
    )
    snapshot = outbound(rules=rules)
    shown = listener_json(snapshot.listeners["out"], snapshot)["filter_chains"]
    assert shown[0]["filter_chain_match"]["server_names"] == ["a.example"]
    assert shown[1]["filter_chain_match"]["prefix_ranges"] == [
        {"address_prefix": "10.1.0.0", "prefix_len": 16}
    ]
    assert [chain["filters"][0]["typed_config"]["cluster"] for chain in shown[:2]] == ["a", "b"]
