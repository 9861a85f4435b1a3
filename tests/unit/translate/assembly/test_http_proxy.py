"""A plain port that the app uses as its HTTP proxy: services on all ports, told apart by Host."""

from __future__ import annotations

import pytest

from meshproxy.model.snapshot import Snapshot
from tests.unit.translate.support import Call, follow, problems_of, snapshot_of

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, {name: http-admin, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: 10.96.0.2, ports: [{name: tcp, port: 5432}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop]
  http:
  - match: [{port: 8080, uri: {prefix: /old}}]
    redirect: {uri: /new}
  - route: [{destination: {host: shop, port: {number: 80}}}]
"""


def sidecar(hosts: str = "./*", more: str = "captureMode: NONE, ") -> str:
    port = "port: {number: 3128, protocol: HTTP_PROXY, name: proxy}"
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: default}\n"
        f"spec: {{egress: [{{{port}, bind: 127.0.0.1, {more}hosts: ['{hosts}']}}]}}\n"
    )


@pytest.fixture(scope="module")
def made() -> Snapshot:
    return snapshot_of(SERVICES, sidecar())


@pytest.mark.parametrize(
    ("host", "path", "cluster"),
    [
        ("shop", "/", "outbound|80||shop.default.svc.cluster.local"),
        ("shop:80", "/old", "outbound|80||shop.default.svc.cluster.local"),
        ("shop.default:8080", "/", "outbound|80||shop.default.svc.cluster.local"),
        ("10.96.0.1:8080", "/", "outbound|80||shop.default.svc.cluster.local"),
    ],
)
def test_services_of_all_ports(made: Snapshot, host: str, path: str, cluster: str) -> None:
    found = follow(made, "127.0.0.1_3128", Call(3128, host=host, path=path))
    assert found.cluster == cluster


@pytest.mark.parametrize("host", ["shop:81", "db:5432", "example.com"])
def test_what_is_no_http_service_at_that_port(made: Snapshot, host: str) -> None:
    found = follow(made, "127.0.0.1_3128", Call(3128, host=host))
    assert found.host is None


def test_rules_of_one_port_alone(made: Snapshot) -> None:
    found = follow(made, "127.0.0.1_3128", Call(3128, host="shop:8080", path="/old"))
    assert found.clusters == {}  # redirected


def test_hosts_narrow_it_down() -> None:
    assert problems_of(SERVICES, sidecar()) == []
    (problem,) = problems_of(SERVICES, sidecar("other/*"))
    assert problem.text == "none of its hosts is a service"


def test_a_captured_one_is_plain_http() -> None:
    (problem,) = problems_of(SERVICES, sidecar(more=""))
    assert problem.field == "spec.egress[0].port.protocol"
