"""The mesh's and the sidecar's own settings."""

from __future__ import annotations

import pytest

from tests.unit.translate.support import problems_of, snapshot_of


def settings(spec: str, namespace: str = "default", name: str = "s", created: str = "null") -> str:
    return (
        "---\napiVersion: meshproxy.dev/v1alpha1\nkind: Settings\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: {created}}}\n"
        f"spec: {{{spec}}}\n"
    )


MINE = "selector: {matchLabels: {app: me}}, "
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
"""


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], 100),
        ([settings("maxRequestHeaders: 1", "istio-system")], 1),
        ([settings("maxRequestHeaders: 1", "other")], 100),
        ([settings("maxRequestHeaders: 2"), settings("maxRequestHeaders: 1", "istio-system")], 2),
        ([settings(f"{MINE}maxRequestHeaders: 3", name="m"), settings("maxRequestHeaders: 2")], 3),
        ([settings(f"{MINE}maxRequestHeaders: 3".replace("app: me", "app: you"))], 100),
    ],
)
def test_the_narrowest_setting_counts(texts: list[str], expected: int) -> None:
    assert snapshot_of(*texts).settings.max_request_headers == expected


def test_settings_are_put_together_field_by_field() -> None:
    found = snapshot_of(
        settings("maxRequestHeaders: 1, linger: 2s", "istio-system"), settings("linger: 3s")
    ).settings
    assert (found.max_request_headers, found.linger) == (1, 3.0)


def test_where_connect_timeouts_come_from() -> None:
    def timeout(*texts: str) -> float:
        made = snapshot_of(SERVICE, *texts)
        return made.clusters["outbound|80||a.default.svc.cluster.local"].connect_timeout

    own = settings("connectTimeout: 7s")
    mesh = "kind: MeshConfig\nconnectTimeout: 6s\n"
    rule = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r}\n"
        "spec: {host: a, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 5s}}}}\n"
    )
    assert timeout() == 10.0
    assert timeout(own) == 7.0
    assert timeout(own, mesh) == 6.0
    assert timeout(own, mesh, rule) == 5.0


def test_idle_timeouts() -> None:
    made = snapshot_of(SERVICE, settings("upstreamIdleTimeout: 9s, appIdleTimeout: 1s"))
    assert made.clusters["outbound|80||a.default.svc.cluster.local"].idle_timeout == 9.0
    assert made.clusters["InboundPassthroughCluster"].idle_timeout == 1.0


def test_a_mesh_has_one_configuration() -> None:
    first = "kind: MeshConfig\nmetadata: {name: one}\nconnectTimeout: 1s\n"
    second = "kind: MeshConfig\nmetadata: {name: two}\nconnectTimeout: 2s\n"
    made = snapshot_of(first, second)
    assert made.clusters["PassthroughCluster"].connect_timeout == 2.0
    (problem,) = problems_of(first, second)
    assert (problem.file, problem.line) == ("0.yaml", 1)
    assert "1.yaml:1" in problem.text


def test_a_replaced_configuration_counts_where_it_was_replaced() -> None:
    first = "kind: MeshConfig\nmetadata: {name: one}\nconnectTimeout: 1s\n"
    second = "kind: MeshConfig\nmetadata: {name: two}\nconnectTimeout: 2s\n"
    made = snapshot_of(first, second, first.replace("1s", "3s"))
    assert made.clusters["PassthroughCluster"].connect_timeout == 3.0


def test_another_root_namespace() -> None:
    mesh = "kind: MeshConfig\nrootNamespace: root\n"
    own = settings("maxRequestHeaders: 1", "root")
    assert snapshot_of(mesh, own).settings.max_request_headers == 1
    assert snapshot_of(own).settings.max_request_headers == 100


def test_what_mesh_config_says_of_the_process() -> None:
    mesh = (
        "---\nkind: MeshConfig\ntrustDomain: mesh.example\n"
        "defaultConfig: {fileFlushInterval: 250ms}\n"
    )
    found = snapshot_of(mesh)
    assert (found.trust_domain, found.settings.access_log_flush) == ("mesh.example", 0.25)
    assert snapshot_of(mesh, settings("accessLogFlush: 2s")).settings.access_log_flush == 2.0
    assert snapshot_of(ANOTHER, trust_domain="td.example").trust_domain == "td.example"


ANOTHER = "---\nkind: MeshConfig\nrootNamespace: root\n"
