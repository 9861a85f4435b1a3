"""Metrics: Istio's names, labels and buckets, added up over workers, never running backwards."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.peers import Peer, ask, wait_until
from tests.support.servers import App, Server, echo_bytes
from tests.support.sidecar import (
    Metrics,
    Sidecar,
    config,
    free_port,
    me,
    plain,
    service,
    workload,
)

LABELS = {
    "reporter": "source",
    "source_workload": "me",
    "source_canonical_service": "me",
    "source_canonical_revision": "v9",
    "source_workload_namespace": "default",
    "source_principal": "unknown",
    "source_app": "me",
    "source_version": "v9",
    "source_cluster": "Kubernetes",
    "destination_workload": "app-1",
    "destination_workload_namespace": "default",
    "destination_principal": "unknown",
    "destination_app": "app",
    "destination_version": "v1",
    "destination_service": "app.default.svc.cluster.local",
    "destination_canonical_service": "app",
    "destination_canonical_revision": "v1",
    "destination_service_name": "app",
    "destination_service_namespace": "default",
    "destination_cluster": "Kubernetes",
    "request_protocol": "http",
    "response_code": "200",
    "grpc_response_status": "",
    "response_flags": "-",
    "connection_security_policy": "unknown",
}
BUCKETS = (
    "0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 300000 600000 1800000 3600000"
)
HISTOGRAMS = ["istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"]
REQUESTS = "istio_requests_total"


@dataclass(frozen=True)
class Place:
    proxy: Sidecar
    app: App
    port: int
    inbound: int
    opaque: int


@pytest.fixture
def place() -> Iterator[Place]:
    port, inbound, opaque = free_port(), free_port(), free_port()
    with App() as app, Server(echo_bytes) as echo:
        text = config(
            me(),
            service("app", port),
            workload("app-1", "app", {"http": app.port}),
            service("db", opaque, "tcp"),
            workload("db-1", "db", {"tcp": echo.port}),
            plain([(port, "HTTP"), (opaque, "TCP")], [(inbound, "HTTP", app.port)]),
        )
        with Sidecar(text, workers=2) as proxy:
            yield Place(proxy, app, port, inbound, opaque)


def use(port: int, count: int, connections: int = 8) -> None:
    """Requests over several connections, so that each worker gets some."""

    def run() -> None:
        with Peer.connect(port) as client:
            for _ in range(count // connections):
                assert client.ask().status == 200

    threads = [threading.Thread(target=run) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_requests_have_istios_labels(place: Place) -> None:
    use(place.port, 80)
    metrics = place.proxy.metrics()
    (sample,) = metrics.samples(REQUESTS)
    assert sample.labels == LABELS
    assert list(sample.labels) == list(LABELS), "in Istio's order"
    assert sample.value == 80


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_histograms_have_istios_buckets(place: Place, name: str) -> None:
    use(place.port, 80)
    metrics = place.proxy.metrics()
    buckets = metrics.samples(f"{name}_bucket")
    assert [each.labels["le"] for each in buckets] == [*BUCKETS.split(), "+Inf"]
    assert {key: value for key, value in buckets[0].labels.items() if key != "le"} == LABELS
    counts = [each.value for each in buckets]
    assert counts == sorted(counts)
    assert counts[-1] == metrics.value(f"{name}_count") == 80
    assert metrics.value(f"{name}_sum") > 0
    family = metrics.families[name]
    assert (family.type, bool(family.documentation)) == ("histogram", True)


def test_sizes_are_those_on_the_wire(place: Place) -> None:
    """Heads included, as Istio counts them."""
    with Peer.connect(place.port) as client:
        answer = client.ask("/", "POST", body=b"x" * 1000)
    metrics = place.proxy.metrics()
    sent = metrics.value("istio_response_bytes_sum")
    assert len(answer.body) < sent < len(answer.body) + 1000
    assert 1000 < metrics.value("istio_request_bytes_sum") < 2000


def test_durations_are_milliseconds(place: Place) -> None:
    ask(place.port, "/slow?ms=150")
    name = "istio_request_duration_milliseconds"
    assert 150 <= place.proxy.metrics().value(f"{name}_sum") < 1000
    assert place.proxy.metrics().value(f"{name}_bucket", le="100") == 0


def test_inbound_requests_are_the_destinations(place: Place) -> None:
    ask(place.inbound)
    (sample,) = place.proxy.metrics().samples(REQUESTS)
    assert sample.labels["reporter"] == "destination"
    assert sample.labels["destination_workload"] == "me"
    assert sample.labels["destination_app"] == "me"
    assert sample.labels["connection_security_policy"] == "none"


def test_unknown_hosts_are_counted_under_istios_names(place: Place) -> None:
    assert ask(place.port, host="unknown.example").status == 502
    (sample,) = place.proxy.metrics().samples(REQUESTS)
    assert sample.labels["destination_service_name"] == "BlackHoleCluster"
    assert sample.labels["destination_service"] == "unknown.example"
    assert sample.labels["response_code"] == "502"


def test_tcp_metrics_have_no_status(place: Place) -> None:
    with Peer.connect(place.opaque) as client:
        client.send(b"abc")
        assert client.exactly(3) == b"abc"
        client.end()
        client.rest()
    wait_until(lambda: place.proxy.metrics().value("istio_tcp_connections_closed_total"), "the end")
    metrics = place.proxy.metrics()
    for name, value in (
        ("connections_opened", 1), ("connections_closed", 1), ("received_bytes", 3),
        ("sent_bytes", 3),
    ):  # fmt: skip
        (sample,) = metrics.samples(f"istio_tcp_{name}_total")
        assert sample.value == value
        assert set(sample.labels) == set(LABELS) - {"response_code", "grpc_response_status"}
        assert sample.labels["request_protocol"] == "tcp"
        assert sample.labels["destination_service_name"] == "db"


def test_build_and_configuration_are_shown(place: Place) -> None:
    metrics = place.proxy.metrics()
    (build,) = metrics.samples("istio_build")
    assert (build.labels["component"], build.value) == ("proxy", 1)
    assert metrics.value("meshproxy_config_reloads_total", result="accepted") == 1
    assert metrics.value("meshproxy_workers") == 2
    assert metrics.value("meshproxy_ready") == 1


def test_the_admin_port_has_the_same(place: Place) -> None:
    use(place.port, 16)
    answer = place.proxy.get(place.proxy.admin, "/stats/prometheus")
    assert answer.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    assert Metrics(answer.text).value(REQUESTS) == 16


def test_counters_never_run_backwards(place: Place) -> None:
    """Not when a worker dies, not when all of them do; and what was scraped before is kept."""
    total = 0
    names = [REQUESTS, "istio_request_bytes_sum", "istio_request_duration_milliseconds_count"]
    for _ in range(3):
        use(place.port, 80)
        total += 80
        before = place.proxy.metrics()
        assert before.value(REQUESTS) == total
        died = before.value("meshproxy_worker_restarts_total", reason="died")
        for pid in place.proxy.workers():
            os.kill(pid, signal.SIGKILL)
        while True:
            now = place.proxy.metrics()
            for name in names:
                assert now.value(name) >= before.value(name)
            if (
                now.value("meshproxy_worker_restarts_total", reason="died") == died + 2
                and now.value("meshproxy_workers") == 2
            ):
                break
    use(place.port, 80)
    assert place.proxy.metrics().value(REQUESTS) == total + 80


def test_label_values_of_strangers_are_escaped(place: Place) -> None:
    """Host comes from the caller; the parser must still understand the page."""
    for host in ("a%22b", "b~!$&'()*+,;=b", "UPPER.example"):
        ask(place.port, host=host)
    names = {
        sample.labels["destination_service"] for sample in place.proxy.metrics().samples(REQUESTS)
    }
    assert "upper.example" in names


def test_label_sets_of_strangers_are_bounded() -> None:
    """A caller that makes up hosts does not make up memory."""
    from tests.support.sidecar import settings

    port = free_port()
    text = config(me(), plain([(port, "HTTP")]), settings(maxSeries=20))
    with Sidecar(text) as proxy:
        with Peer.connect(port) as client:
            for at in range(100):
                client.ask(host=f"host-{at}.example")
        metrics = proxy.metrics()
        assert metrics.value(REQUESTS) == 100
        assert len(metrics.samples(REQUESTS)) <= 21
        assert metrics.value("meshproxy_metric_series_dropped_total") > 0
