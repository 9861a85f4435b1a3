"""Where traffic goes that no service is: a Sidecar's or the mesh's `outboundTrafficPolicy`."""

from __future__ import annotations

import pytest

from tests.unit.translate.support import Call, follow, problems_of, snapshot_of

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: proxy, namespace: egress}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 3128}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
"""
PROXY = "outbound|3128||proxy.egress.svc.cluster.local"


def sidecar(policy: str, hosts: str = "./*") -> str:
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: default}\n"
        f"spec: {{egress: [{{hosts: ['{hosts}']}}], outboundTrafficPolicy: {{{policy}}}}}\n"
    )


def to_proxy(port: int = 3128) -> str:
    return sidecar(
        "mode: ALLOW_ANY, "
        f"egressProxy: {{host: proxy.egress.svc.cluster.local, port: {{number: {port}}}}}"
    )


@pytest.mark.parametrize(
    ("policy", "http", "tcp"),
    [
        (sidecar("mode: ALLOW_ANY"), "PassthroughCluster", "PassthroughCluster"),
        (sidecar("mode: REGISTRY_ONLY"), "block_all", "BlackHoleCluster"),
        (to_proxy(), PROXY, PROXY),
    ],
)
def test_where_the_unknown_goes(policy: str, http: str, tcp: str) -> None:
    found = snapshot_of(SERVICES, policy)
    assert follow(found, "virtualOutbound", Call(80, host="example.com")).cluster == http
    assert follow(found, "virtualOutbound", Call(8443, http=False)).cluster == tcp
    assert follow(found, "virtualOutbound", Call(80, host="shop")).cluster == (
        "outbound|80||shop.default.svc.cluster.local"
    )


def test_the_proxys_cluster_is_there_though_nobody_imports_it() -> None:
    assert PROXY in snapshot_of(SERVICES, to_proxy()).clusters
    assert PROXY not in snapshot_of(SERVICES, sidecar("mode: ALLOW_ANY")).clusters


def test_a_proxy_that_is_not_there() -> None:
    (problem,) = problems_of(SERVICES, to_proxy(3129))
    assert problem.field == "spec.outboundTrafficPolicy.egressProxy"
    assert "there is no service proxy.egress.svc.cluster.local with port 3129" in problem.text
    found = snapshot_of(SERVICES, to_proxy(3129))
    cluster = follow(found, "virtualOutbound", Call(80, host="example.com")).cluster
    assert cluster not in found.clusters  # refused: 503 NC
