"""Counts: cells, their sum over workers, and the text that is scraped."""

from __future__ import annotations

import marshal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from meshproxy.model.workload import UNKNOWN
from meshproxy.telemetry.labels import labels
from meshproxy.telemetry.metrics import BUCKETS, HTTP_LABELS, TCP_LABELS, Counters, merge
from meshproxy.telemetry.render import PLAIN, escape, render
from tests.support.models import a_workload


def http_labels(code: str = "200", own: str = "front-v1", **changes: object) -> tuple[str, ...]:
    facts: dict[str, object] = {
        "outbound": True,
        "own": a_workload(own),
        "peer": a_workload("shop-v2"),
        "service": ("shop.default.svc.cluster.local", "shop", "default"),
        "protocol": "http",
        "result": (code, ""),
        "flags": "",
    }
    return labels(**{**facts, **changes})  # type: ignore[arg-type]


def scrape(*counters: Counters) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels, as Prometheus would read them."""
    dumps = [marshal.loads(marshal.dumps(each.dump())) for each in counters]
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(render(merge(dumps))):
        for sample in family.samples:
            key = tuple(sorted(sample.labels.items()))
            assert key not in found.setdefault(sample.name, {}), "a series twice"
            found[sample.name][key] = sample.value
    return found


def one(
    found: dict[str, dict[tuple[tuple[str, str], ...], float]], name: str, **wanted: str
) -> float:
    matching = [value for key, value in found[name].items() if set(wanted.items()) <= set(key)]
    assert len(matching) == 1
    return matching[0]


def test_a_request_as_prometheus_sees_it() -> None:
    counters = Counters(100)
    counters.http(http_labels()).count(7, 300, 1500)
    found = scrape(counters)
    (key,) = found["istio_requests_total"]
    assert [name for name, _ in key] == sorted(HTTP_LABELS)
    assert dict(key) | {
        "reporter": "source",
        "source_workload": "front-v1",
        "source_principal": "unknown",
        "destination_workload": "shop-v2",
        "destination_version": "v2",
        "destination_canonical_service": "shop",
        "destination_service": "shop.default.svc.cluster.local",
        "destination_service_name": "shop",
        "request_protocol": "http",
        "response_code": "200",
        "grpc_response_status": "",
        "response_flags": "-",
        "connection_security_policy": "unknown",
    } == dict(key)
    assert found["istio_requests_total"][key] == 1
    assert one(found, "istio_request_duration_milliseconds_sum") == 7
    assert one(found, "istio_request_duration_milliseconds_bucket", le="5") == 0
    assert one(found, "istio_request_duration_milliseconds_bucket", le="10") == 1
    assert one(found, "istio_request_duration_milliseconds_bucket", le="+Inf") == 1
    assert one(found, "istio_request_bytes_bucket", le="250") == 0
    assert one(found, "istio_request_bytes_bucket", le="500") == 1
    assert one(found, "istio_response_bytes_sum") == 1500


def test_bucket_bounds_are_istios() -> None:
    counters = Counters(100)
    counters.http(http_labels()).count(1, 1, 1)
    bounds = [
        dict(key)["le"] for key in scrape(counters)["istio_request_duration_milliseconds_bucket"]
    ]
    assert sorted(float(bound) for bound in bounds) == [*BUCKETS, float("inf")]
    assert {"0.5", "1", "1800000", "3600000"} <= set(bounds)


@pytest.mark.parametrize(("value", "le"), [(0, "0.5"), (0.5, "0.5"), (0.6, "1"), (10, "10")])
def test_a_bound_belongs_to_its_bucket(value: float, le: str) -> None:
    counters = Counters(100)
    counters.http(http_labels()).count(value, 1, 1)
    found = scrape(counters)
    assert one(found, "istio_request_duration_milliseconds_bucket", le=le) == 1


def test_workers_are_added_up() -> None:
    workers = [Counters(100) for _ in range(3)]
    for worker in workers:
        worker.http(http_labels()).count(5, 10, 10)
        worker.add("meshproxy_direct_connections_total", ("virtualInbound",))
    workers[0].http(http_labels("503")).count(5, 10, 10)
    cell = workers[1].tcp(http_labels(result=None))
    cell.opened, cell.received, cell.sent = 2, 7, 9
    found = scrape(*workers)
    assert one(found, "istio_requests_total", response_code="200") == 3
    assert one(found, "istio_requests_total", response_code="503") == 1
    assert one(found, "istio_request_duration_milliseconds_count", response_code="200") == 3
    assert one(found, "istio_tcp_connections_opened_total") == 2
    assert one(found, "istio_tcp_received_bytes_total") == 7
    assert one(found, "istio_tcp_sent_bytes_total") == 9
    assert one(found, "meshproxy_direct_connections_total", listener="virtualInbound") == 3


def test_tcp_has_no_codes() -> None:
    counters = Counters(100)
    counters.tcp(http_labels(result=None)).opened += 1
    (key,) = scrape(counters)["istio_tcp_connections_opened_total"]
    assert [name for name, _ in key] == sorted(TCP_LABELS)


def test_inbound_turns_the_ends_around() -> None:
    found = dict(
        zip(HTTP_LABELS, http_labels(outbound=False, own="shop-v2", peer=UNKNOWN), strict=True)
    )
    assert found["reporter"] == "destination"
    assert found["destination_workload"] == "shop-v2"
    assert found["source_workload"] == "unknown"
    assert found["source_canonical_revision"] == "latest"
    assert found["connection_security_policy"] == "none"


def test_series_are_bounded() -> None:
    counters = Counters(3)
    for number in range(10):
        counters.http(http_labels(str(200 + number))).count(1, 1, 1)
    found = scrape(counters)
    assert len(found["istio_requests_total"]) == 4
    assert one(found, "istio_requests_total", response_code="other") == 7
    assert one(found, "meshproxy_metric_series_dropped_total") == 7


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "é", "{}"])
def test_any_label_value_can_be_read_back(text: str) -> None:
    counters = Counters(100)
    counters.http(http_labels(service=(text, text, "d"))).count(1, 1, 1)
    assert one(scrape(counters), "istio_requests_total", destination_service=text) == 1
    assert "\n" not in escape(text)


def test_plain_counters_without_labels_are_there_from_the_start() -> None:
    found = scrape(Counters(10))
    for name, (names, _) in PLAIN.items():
        assert (name in found) == (not names)
