"""Which DestinationRule holds, and for what."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import Balance, Cluster, ClusterKind
from tests.unit.translate.support import snapshot_of

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, {name: http-b, port: 81}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: a, namespace: shop}
subsets: [{addresses: [{ip: 10.1.0.1}], ports: [{name: http, port: 80}, {name: http-b, port: 81}]}]
"""
HOST = "a.shop.svc.cluster.local"


def rule(spec: str, namespace: str = "shop", name: str = "r", created: str = "null") -> str:
    return (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: {created}}}\n"
        f"spec: {{{spec}}}\n"
    )


def cluster(*texts: str, port: int = 80, subset: str = "") -> Cluster:
    return snapshot_of(SERVICE, *texts).clusters[f"outbound|{port}|{subset}|{HOST}"]


def balance(name: str) -> str:
    return f"trafficPolicy: {{loadBalancer: {{simple: {name}}}}}"


def test_without_a_rule() -> None:
    found = cluster()
    assert (found.balance, found.kind) == (Balance.LEAST_REQUEST, ClusterKind.STATIC)
    assert (found.connect_timeout, found.idle_timeout) == (10.0, 3600.0)
    assert found.service.host == HOST


@pytest.mark.parametrize("host", ["a", "a.shop", "a.shop.svc", HOST, "*.shop.svc.cluster.local"])
def test_spellings_of_the_host(host: str) -> None:
    assert cluster(rule(f"host: '{host}', {balance('RANDOM')}")).balance is Balance.RANDOM


@pytest.mark.parametrize(
    ("namespaces", "expected"),
    [
        (["default", "shop", "istio-system"], Balance.RANDOM),
        (["shop", "istio-system"], Balance.ROUND_ROBIN),
        (["istio-system"], Balance.PASSTHROUGH),
        (["other"], Balance.LEAST_REQUEST),
    ],
)
def test_the_callers_namespace_comes_first(namespaces: list[str], expected: Balance) -> None:
    balances = {"default": "RANDOM", "shop": "ROUND_ROBIN", "istio-system": "PASSTHROUGH"}
    rules = [
        rule(f"host: {HOST}, {balance(balances.get(namespace, 'RANDOM'))}", namespace)
        for namespace in namespaces
    ]
    assert cluster(*rules).balance is expected


def test_an_exact_host_comes_before_a_wildcard_and_a_longer_one_before_a_shorter() -> None:
    wide = rule(f"host: '*.local', {balance('RANDOM')}", name="wide")
    narrow = rule(f"host: '*.shop.svc.cluster.local', {balance('ROUND_ROBIN')}", name="narrow")
    exact = rule(f"host: {HOST}, {balance('PASSTHROUGH')}", name="exact")
    assert cluster(wide, narrow).balance is Balance.ROUND_ROBIN
    assert cluster(wide, narrow, exact).balance is Balance.PASSTHROUGH


def test_export_and_selectors() -> None:
    private = rule(f"host: {HOST}, exportTo: ['.'], {balance('RANDOM')}")
    assert cluster(private).balance is Balance.LEAST_REQUEST
    mine = rule(
        f"host: {HOST}, workloadSelector: {{matchLabels: {{app: me}}}}, {balance('RANDOM')}",
        "default",
        "mine",
    )
    all_ = rule(f"host: {HOST}, {balance('ROUND_ROBIN')}", "default", "all")
    assert cluster(all_, mine).balance is Balance.RANDOM
    assert cluster(all_, mine.replace("app: me", "app: you")).balance is Balance.ROUND_ROBIN


def test_rules_for_one_host_are_put_together() -> None:
    old = rule(f"host: {HOST}, {balance('RANDOM')}, subsets: [{{name: v1}}]", name="z")
    new = rule(
        f"host: {HOST}, {balance('ROUND_ROBIN')}, subsets: [{{name: v2}}]",
        name="a",
        created="2024-01-01T00:00:00Z",
    )
    assert cluster(new, old, subset="v1").balance is Balance.RANDOM
    assert cluster(new, old, subset="v2").balance is Balance.RANDOM


def test_ports_and_subsets_replace_whole_groups() -> None:
    spec = (
        f"host: {HOST}, trafficPolicy: {{loadBalancer: {{simple: RANDOM}}, "
        "connectionPool: {tcp: {connectTimeout: 1s}, http: {idleTimeout: 2s}}, "
        "portLevelSettings: [{port: {number: 81}, loadBalancer: {simple: ROUND_ROBIN}}]}, "
        "subsets: [{name: v1, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 5s}}}}]"
    )
    text = rule(spec)
    assert cluster(text).connect_timeout == 1.0
    port = cluster(text, port=81)
    assert (port.balance, port.connect_timeout) == (Balance.ROUND_ROBIN, 10.0)
    subset = cluster(text, subset="v1")
    assert (subset.balance, subset.connect_timeout, subset.idle_timeout) == (
        Balance.RANDOM,
        5.0,
        3600.0,
    )


def test_subsets_by_labels() -> None:
    pods = "".join(
        f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {version}, namespace: shop, "
        f"labels: {{app: a, version: {version}}}}}\nstatus: {{podIP: 10.1.0.{at}}}\n"
        for at, version in enumerate(("v1", "v2"))
    )
    service = SERVICE.split("---")[0].replace("ports:", "selector: {app: a}, ports:")
    text = rule(f"host: {HOST}, subsets: [{{name: v2, labels: {{version: v2}}}}, {{name: all}}]")
    made = snapshot_of(service + pods, text).clusters

    def ips(subset: str) -> list[str]:
        return [each.address.ip for each in made[f"outbound|80|{subset}|{HOST}"].endpoints]

    assert (ips("v2"), ips("all"), ips("")) == (
        ["10.1.0.1"],
        ["10.1.0.0", "10.1.0.1"],
        ["10.1.0.0", "10.1.0.1"],
    )


def test_passthrough_goes_where_the_connection_was_going() -> None:
    found = cluster(rule(f"host: {HOST}, {balance('PASSTHROUGH')}"))
    assert (found.kind, found.endpoints) == (ClusterKind.ORIGINAL_DST, ())


@pytest.mark.parametrize("mode", ["SIMPLE", "ISTIO_MUTUAL"])
def test_tls_that_is_asked_for_is_refused_and_not_left_out(mode: str) -> None:
    found = cluster(rule(f"host: {HOST}, trafficPolicy: {{tls: {{mode: {mode}}}}}"))
    assert "DestinationRule shop/r" in found.refusal
    assert mode in found.refusal
    assert not cluster(rule(f"host: {HOST}, trafficPolicy: {{tls: {{mode: DISABLE}}}}")).refusal
