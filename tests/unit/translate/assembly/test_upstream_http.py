"""Which HTTP a service is spoken to in: `h2UpgradePolicy`, `useClientProtocol`, its port."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import UpstreamHttp
from tests.unit.translate.support import snapshot_of

HTTP1, HTTP2 = UpstreamHttp.HTTP1, UpstreamHttp.HTTP2
UPGRADED, AS_DOWNSTREAM = UpstreamHttp.UPGRADED, UpstreamHttp.AS_DOWNSTREAM
HEAD = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"


def service(name: str) -> str:
    return (
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
        f"spec: {{clusterIP: 10.96.0.1, ports: [{{{name}port: 80}}, {{name: http-x, port: 81}}]}}\n"
    )


def found(name: str, mesh: str = "", rule: str = "", cluster: str = "80|") -> UpstreamHttp:
    texts = [service(name)]
    if mesh:
        texts.append(f"---\nkind: MeshConfig\nh2UpgradePolicy: {mesh}\n")
    if rule:
        texts.append(f"{HEAD}spec: {{host: a, {rule}}}\n")
    made = snapshot_of(*texts)
    return made.clusters[f"outbound|{cluster}|a.default.svc.cluster.local"].http


def pool(fields: str) -> str:
    return f"connectionPool: {{http: {{{fields}}}}}"


def rule(fields: str) -> str:
    return f"trafficPolicy: {{{pool(fields)}}}"


UPGRADE, NOT = rule("h2UpgradePolicy: UPGRADE"), rule("h2UpgradePolicy: DO_NOT_UPGRADE")
DEFAULT, CLIENT = rule("h2UpgradePolicy: DEFAULT"), rule("useClientProtocol: true")
NAMED = {"http": "name: http, ", "http2": "name: http2, ", "grpc": "name: grpc, ", "": ""}


@pytest.mark.parametrize(
    ("port", "mesh", "rule", "http"),
    [
        ("http", "", "", HTTP1),
        ("http", "DO_NOT_UPGRADE", "", HTTP1),
        ("http", "UPGRADE", "", UPGRADED),
        ("http", "UPGRADE", DEFAULT, UPGRADED),
        ("http", "UPGRADE", NOT, HTTP1),
        ("http", "", DEFAULT, HTTP1),
        ("http", "", UPGRADE, UPGRADED),
        ("http", "DO_NOT_UPGRADE", UPGRADE, UPGRADED),
        ("http", "", CLIENT, AS_DOWNSTREAM),
        ("http", "UPGRADE", CLIENT, AS_DOWNSTREAM),
        ("http2", "", NOT, HTTP2),
        ("http2", "UPGRADE", "", HTTP2),
        ("http2", "", UPGRADE, HTTP2),
        ("http2", "", CLIENT, AS_DOWNSTREAM),
        ("grpc", "DO_NOT_UPGRADE", "", HTTP2),
        ("", "", "", AS_DOWNSTREAM),
        ("", "UPGRADE", "", AS_DOWNSTREAM),
        ("", "UPGRADE", DEFAULT, AS_DOWNSTREAM),
        ("", "", UPGRADE, UPGRADED),
        ("", "", NOT, AS_DOWNSTREAM),
    ],
)
def test_the_table(port: str, mesh: str, rule: str, http: UpstreamHttp) -> None:
    assert found(NAMED[port], mesh, rule) is http


def test_a_ports_own_policy() -> None:
    own = f"{{port: {{number: 80}}, {pool('h2UpgradePolicy: UPGRADE')}}}"
    text = f"trafficPolicy: {{portLevelSettings: [{own}]}}"
    assert found(NAMED["http"], "", text) is UPGRADED
    assert found(NAMED["http"], "", text, "81|") is HTTP1


def test_a_pool_without_it_hides_the_services() -> None:
    """A group is replaced as a whole (Istio), and says nothing then."""
    own = "{port: {number: 80}, connectionPool: {http: {idleTimeout: 1s}}}"
    above = pool("h2UpgradePolicy: UPGRADE")
    text = f"trafficPolicy: {{{above}, portLevelSettings: [{own}]}}"
    assert found(NAMED["http"], "", text) is HTTP1
    assert found(NAMED["http"], "", text, "81|") is UPGRADED
    assert found(NAMED["http"], "UPGRADE", text) is UPGRADED


def test_a_subset() -> None:
    of_subset = f"trafficPolicy: {{{pool('h2UpgradePolicy: UPGRADE')}}}"
    text = f"subsets: [{{name: v1, labels: {{v: '1'}}, {of_subset}}}]"
    assert found(NAMED["http"], "", text) is HTTP1
    assert found(NAMED["http"], "", text, "80|v1") is UPGRADED
