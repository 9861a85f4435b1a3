"""Three ways to count the same traffic, and the verdict on it."""

from __future__ import annotations

from meshproxy.demo.counts import Count, counts
from meshproxy.demo.figures import Sample
from meshproxy.demo.scrape import Metrics
from meshproxy.demo.shop import Pod
from meshproxy.demo.verdict import disagreements, failures, split_faults

PODS = [
    Pod("order", "shop", "order", "v1", "10.0.0.1", 8080, ("", 8080)),
    Pod("inventory-v1", "shop", "inventory", "v1", "10.0.0.2", 8080, ("", 8080)),
    Pod("inventory-v2", "shop", "inventory", "v2", "10.0.0.3", 8080, ("", 8080)),
    Pod("echo", "shop", "echo", "v1", "10.0.0.4", 9000, ("", 9000)),
]
SAMPLES = [
    Sample(0.0, 0.1, 200, ("v1", "v1", "v2")),
    Sample(0.1, 0.1, 200, ("v1",)),
    Sample(0.2, 0.1, 200, receipt=11),
]
METRICS = {
    "order": """\
# TYPE istio_requests_total counter
istio_requests_total{reporter="destination",destination_app="order",response_code="200"} 3
istio_requests_total{reporter="destination",destination_app="order",response_code="503"} 4
istio_requests_total{reporter="source",destination_app="inventory",destination_version="v1",response_code="200"} 3
istio_requests_total{reporter="source",destination_app="inventory",destination_version="v2",response_code="200"} 1
# TYPE istio_tcp_connections_opened_total counter
istio_tcp_connections_opened_total{reporter="source",destination_app="echo"} 1
# TYPE istio_tcp_received_bytes_total counter
istio_tcp_received_bytes_total{reporter="source",destination_app="echo"} 11
""",  # noqa: E501
    "inventory-v1": """\
# TYPE istio_requests_total counter
istio_requests_total{reporter="destination",source_app="order",response_code="200"} 2
istio_requests_total{reporter="destination",source_app="unknown",response_code="200"} 1
""",
    "inventory-v2": """\
# TYPE istio_requests_total counter
istio_requests_total{reporter="destination",response_code="200"} 1
""",
    "echo": """\
# TYPE istio_tcp_connections_opened_total counter
istio_tcp_connections_opened_total{reporter="destination"} 1
# TYPE istio_tcp_received_bytes_total counter
istio_tcp_received_bytes_total{reporter="destination"} 10
""",
}


def test_counts_in_the_order_of_the_path() -> None:
    found = counts(SAMPLES, PODS, {name: Metrics(text) for name, text in METRICS.items()})
    assert found == [
        Count("order, HTTP requests", 3, None, 3),
        Count("inventory v1, HTTP requests", 3, 3, 3),
        Count("inventory v2, HTTP requests", 1, 1, 1),
        Count("echo, TCP connections", 1, 1, 1),
        Count("echo, TCP bytes received", 11, 11, 10),
    ]
    assert [count.agrees for count in found] == [True, True, True, True, False]


def test_who_counts_otherwise_is_said() -> None:
    found = [Count("a", 3, None, 3), Count("b", 3, None, 4), Count("c", 3, 2, 3)]
    assert disagreements(found) == [
        "b: the answers say 3, the sidecar at the destination 4.",
        "c: the answers say 3, the sidecar at the destination 3, the one at the source 2.",
    ]


def test_a_metric_that_is_not_there_is_nothing() -> None:
    assert Metrics("").total("istio_requests_total") == 0


def test_every_failure_counts_and_the_first_is_shown() -> None:
    bad = Sample(0.3, 0.1, 502, error="status 502, upstream gone")
    assert failures(SAMPLES) == []
    assert failures([*SAMPLES, bad, Sample(0.4, 0.1, 404)]) == [
        "2 of 5 requests failed; the first: status 502, upstream gone."
    ]


def split(v1: int, v2: int) -> list[Sample]:
    return [Sample(0.0, 0.1, 200, ("v1",) * v1 + ("v2",) * v2)]


def test_a_split_may_be_off_by_three_points() -> None:
    configured = {"v1": 9, "v2": 1}
    assert split_faults(configured, split(900, 100)) == []
    assert split_faults(configured, split(930, 70)) == []
    assert split_faults(configured, split(931, 69)) == [
        "v1 got 93.1 % of the calls; configured are 90.0 %.",
        "v2 got 6.9 % of the calls; configured are 10.0 %.",
    ]


def test_a_version_that_got_nothing_or_should_have() -> None:
    assert len(split_faults({"v1": 50, "v2": 50}, split(100, 0))) == 2
    assert split_faults({"v1": 100}, split(99, 1)) == ["v2 got calls and is not configured."]
    assert split_faults({"v1": 100}, []) == [
        "No call was answered, so there is no split to look at."
    ]
