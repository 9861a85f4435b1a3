"""Envoy's messages: what each part of the model becomes, and that nothing of it is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from meshproxy.base.addr import ServerAddr
from meshproxy.model.cluster import Balance, Cluster, ClusterKind, Endpoint, UpstreamHttp
from meshproxy.model.listener import Application, Direction, FilterChain, Listener
from meshproxy.model.origin import BUILT_IN, Origin
from meshproxy.model.route import (
    DirectResponse,
    Forward,
    HeaderMatch,
    HeaderOps,
    MatchKind,
    Redirect,
    Rewrite,
    Route,
    RouteMatch,
    StringMatch,
    TcpRoute,
    WeightedCluster,
)
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.telemetry import AccessLog
from meshproxy.show.clusters import cluster_json, endpoints_json
from meshproxy.show.listeners import listener_json, listeners_text
from meshproxy.show.routes import route_json
from meshproxy.show.shape import Json, config_path, duration, metadata, others, socket_address

NAME = "outbound|80||shop.default.svc.cluster.local"
SHOP = Cluster(NAME, endpoints=(Endpoint(ServerAddr("10.0.0.1", 8080), 3),))


def route(**more: object) -> Json:
    action = Forward((WeightedCluster("a"),))
    return route_json(Route(**{"match": RouteMatch(), "action": action, **more}))  # type: ignore[arg-type]


def own(message: Json) -> Json:
    """What stands under our own key of a message's metadata."""
    found: Json = message["metadata"]["filter_metadata"]["meshproxy"]
    return found


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (10.0, "10s"), (0.25, "0.25s"), (1.5e-3, "0.0015s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("VirtualService", "/apis/networking.istio.io/v1/namespaces/ns/virtual-service/n"),
        ("HTTPRoute", "/apis/gateway.networking.k8s.io/v1/namespaces/ns/http-route/n"),
        ("Service", ""),
    ],
)
def test_objects_as_istio_names_them(kind: str, path: str) -> None:
    assert config_path(Origin("a.yaml", 1, kind, "ns", "n")) == path


def test_where_a_part_came_from() -> None:
    assert metadata(Origin("a.yaml", 7, "Service", "ns", "n")) == {
        "filter_metadata": {
            "meshproxy": {
                "origin": {
                    "source": "a.yaml:7",
                    "file": "a.yaml",
                    "line": 7,
                    "kind": "Service",
                    "namespace": "ns",
                    "name": "n",
                }
            }
        }
    }


@dataclass(frozen=True)
class _Part:
    name: str
    bound: int = 0
    kind: MatchKind = MatchKind.EXACT
    origin: Origin = BUILT_IN


def test_what_has_no_field_is_shown_all_the_same() -> None:
    assert others(_Part("a", 5, MatchKind.REGEX), "name") == {"bound": 5, "kind": "regex"}
    assert others(_Part("a"), "name") == {}
    assert own(cluster_json(replace(SHOP, refusal="no TLS")))["refusal"] == "no TLS"
    chain = FilterChain("c", Application.TCP, 80, tcp=TcpRoute((WeightedCluster("a"),)), deny="p")
    listener = Listener("l", Direction.INBOUND, True, 15006, ("0.0.0.0",), (chain,))
    assert own(listener_json(listener, Snapshot())["filter_chains"][0]) == {"deny": "p"}


@pytest.mark.parametrize(
    ("cluster", "kind", "policy"),
    [
        (SHOP, "EDS", "LEAST_REQUEST"),
        (replace(SHOP, name="inbound|80||", balance=Balance.RANDOM), "STATIC", "RANDOM"),
        (replace(SHOP, kind=ClusterKind.ORIGINAL_DST), "ORIGINAL_DST", "CLUSTER_PROVIDED"),
        (Cluster("BlackHoleCluster", ClusterKind.BLACK_HOLE), "STATIC", "LEAST_REQUEST"),
    ],
)
def test_clusters(cluster: Cluster, kind: str, policy: str) -> None:
    found = cluster_json(cluster)
    assert (found["type"], found["lb_policy"]) == (kind, policy)
    assert ("eds_cluster_config" in found) == (kind == "EDS")
    assert ("load_assignment" in found) == (kind == "STATIC")


@pytest.mark.parametrize(
    ("http", "field"),
    [
        (UpstreamHttp.HTTP1, {"explicit_http_config": {"http_protocol_options": {}}}),
        (UpstreamHttp.HTTP2, {"explicit_http_config": {"http2_protocol_options": {}}}),
        (UpstreamHttp.UPGRADED, {"explicit_http_config": {"http2_protocol_options": {}}}),
        (
            UpstreamHttp.AS_DOWNSTREAM,
            {"use_downstream_protocol_config": {"http2_protocol_options": {}}},
        ),
    ],
)
def test_which_http_a_cluster_is_spoken_to_in(http: UpstreamHttp, field: Json) -> None:
    (options,) = cluster_json(replace(SHOP, http=http))["typed_extension_protocol_options"].values()
    assert field.items() <= options.items()


def test_endpoints() -> None:
    (group,) = endpoints_json(SHOP)["endpoints"]
    (found,) = group["lb_endpoints"]
    assert found["endpoint"]["address"] == socket_address("10.0.0.1", 8080)
    assert (found["load_balancing_weight"], found["health_status"]) == (3, "HEALTHY")


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (RouteMatch(), {"prefix": "/"}),
        (RouteMatch(StringMatch(MatchKind.EXACT, "/a")), {"path": "/a"}),
        (
            RouteMatch(StringMatch(MatchKind.PREFIX, "/a", ignore_case=True)),
            {"prefix": "/a", "case_sensitive": False},
        ),
        (RouteMatch(StringMatch(MatchKind.REGEX, ".*")), {"safe_regex": {"regex": ".*"}}),
        (
            RouteMatch(method=StringMatch(MatchKind.EXACT, "PUT")),
            {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "PUT"}}]},
        ),
        (
            RouteMatch(headers=(HeaderMatch("x", StringMatch(MatchKind.PRESENT), invert=True),)),
            {
                "prefix": "/",
                "headers": [{"name": "x", "present_match": True, "invert_match": True}],
            },
        ),
        (
            RouteMatch(query=(HeaderMatch("q", StringMatch(MatchKind.REGEX, "a+")),)),
            {
                "prefix": "/",
                "query_parameters": [
                    {"name": "q", "string_match": {"safe_regex": {"regex": "a+"}}}
                ],
            },
        ),
    ],
)
def test_matches(match: RouteMatch, expected: Json) -> None:
    assert route(match=match)["match"] == expected


SPLIT = (WeightedCluster("a", 90), WeightedCluster("b", 10, HeaderOps(set=(("x", "1"),))))


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (
            Forward((WeightedCluster("a"),), Rewrite("/new", "host"), 1.5),
            {
                "route": {
                    "timeout": "1.5s",
                    "cluster": "a",
                    "prefix_rewrite": "/new",
                    "host_rewrite_literal": "host",
                }
            },
        ),
        (
            Redirect("/new", "host", "https", 8443, 302),
            {
                "redirect": {
                    "path_redirect": "/new",
                    "host_redirect": "host",
                    "scheme_redirect": "https",
                    "port_redirect": 8443,
                    "response_code": "FOUND",
                }
            },
        ),
        (
            DirectResponse(418, b"tea"),
            {"direct_response": {"status": 418, "body": {"inline_string": "tea"}}},
        ),
    ],
)
def test_actions(action: Forward | Redirect | DirectResponse, expected: Json) -> None:
    assert expected.items() <= route(action=action).items()


def test_splits_and_header_operations() -> None:
    first, second = route(action=Forward(SPLIT))["route"]["weighted_clusters"]["clusters"]
    assert first == {"name": "a", "weight": 90}
    overwritten = "OVERWRITE_IF_EXISTS_OR_ADD"
    assert second["request_headers_to_add"] == [
        {"header": {"key": "x", "value": "1"}, "append_action": overwritten}
    ]
    found = route(response_headers=HeaderOps(add=(("y", "5%"),), remove=("z",)))
    assert found["response_headers_to_remove"] == ["z"]
    (added,) = found["response_headers_to_add"]
    assert added["header"]["value"] == "5%%"  # which Envoy reads as 5%
    assert added["append_action"] == "APPEND_IF_EXISTS_OR_ADD"


def test_what_is_detected_is_two_chains() -> None:
    chain = FilterChain(
        "c", Application.DETECT, 80, ("10.0.0.1", "fd00::1"), "80", TcpRoute((*SPLIT,))
    )
    rest = FilterChain("rest", Application.TCP, tcp=TcpRoute((WeightedCluster("a"),)))
    listener = Listener("l", Direction.OUTBOUND, True, 15001, ("0.0.0.0", "::"), (chain, rest))
    log = AccessLog("/dev/stdout", "%PROTOCOL%", inbound=False)
    found = listener_json(listener, Snapshot(access_logs=(log,)))
    http, tcp = found["filter_chains"]
    assert http["filter_chain_match"] == {
        "destination_port": 80,
        "prefix_ranges": [
            {"address_prefix": "10.0.0.1", "prefix_len": 32},
            {"address_prefix": "fd00::1", "prefix_len": 128},
        ],
        "application_protocols": ["http/1.1", "h2c"],
    }
    assert "application_protocols" not in tcp["filter_chain_match"]
    arms = tcp["filters"][0]["typed_config"]["weighted_clusters"]["clusters"]
    assert [(arm["name"], arm["weight"]) for arm in arms] == [("a", 90), ("b", 10)]
    assert found["default_filter_chain"]["name"] == "rest"
    assert found["traffic_direction"] == "OUTBOUND"
    (written,) = tcp["filters"][0]["typed_config"]["access_log"]
    assert written["typed_config"]["log_format"] == {
        "text_format_source": {"inline_string": "%PROTOCOL%\n"}
    }
    inbound = listener_json(
        replace(listener, direction=Direction.INBOUND), Snapshot(access_logs=(log,))
    )
    assert "access_log" not in str(inbound)
    assert listeners_text(Snapshot(listeners={"l": listener})) == (
        "l::0.0.0.0:15001\nl::[::]:15001\n"
    )
