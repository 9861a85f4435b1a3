"""Which rule speaks for which service, and who is called what."""

from __future__ import annotations

import pytest

from tests.unit.translate.support import Call, follow, snapshot_of

SERVICES = "".join(
    f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    f"spec: {{clusterIP: 10.96.0.{at}, ports: [{{name: http, port: 80}}]}}\n"
    for at, (name, namespace) in enumerate(
        [("a", "default"), ("b", "default"), ("a", "other"), ("one", "x"), ("two", "x")]
    )
)


def rule(name: str, hosts: str, to: str, created: str = "2024") -> str:
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, creationTimestamp: {created}-01-01T00:00:00Z}}\n"
        f"spec: {{hosts: {hosts}, http: [{{route: [{{destination: {{host: {to}}}}}]}}]}}\n"
    )


ONE, TWO = "one.x.svc.cluster.local", "two.x.svc.cluster.local"


def to(host: str, *rules: str) -> str:
    found = follow(snapshot_of(SERVICES, *rules), "virtualOutbound", Call(80, host=host))
    return found.cluster.removeprefix("outbound|80||").removesuffix(".svc.cluster.local")


WIDE = rule("wide", "['*.local']", ONE, "2020")
NARROW = rule("narrow", "['*.default.svc.cluster.local']", TWO, "2021")
EXACT = rule("exact", "[a.default.svc.cluster.local]", ONE, "2022")


@pytest.mark.parametrize(
    ("host", "rules", "expected"),
    [
        ("a", [], "a.default"),
        ("a", [WIDE], "one.x"),
        ("a.other", [WIDE], "one.x"),
        ("a", [WIDE, NARROW], "two.x"),
        ("a.other", [WIDE, NARROW], "one.x"),
        ("a", [NARROW, EXACT], "one.x"),
        ("b", [NARROW, EXACT], "two.x"),
        ("a", [NARROW, rule("twin", "['*.default.svc.cluster.local']", ONE, "2023")], "two.x"),
        ("a", [rule("outside", "['*.example.com']", ONE)], "a.default"),
    ],
)
def test_the_most_telling_name_wins(host: str, rules: list[str], expected: str) -> None:
    assert to(host, *rules) == expected
    assert to(host, *reversed(rules)) == expected


def test_a_wildcard_over_no_service_is_a_host_of_its_own() -> None:
    text = rule("outside", "['*.example.com', shop.example.org]", ONE)
    assert to("x.example.com", text) == "one.x"
    assert to("shop.example.org", text) == "one.x"
    assert to("example.com", text) == "PassthroughCluster"


def test_short_names_are_the_own_namespaces() -> None:
    assert to("a") == "a.default"
    assert to("a.other") == "a.other"
    assert to("a.other.svc") == "a.other"
    assert to("one") == "PassthroughCluster"


def test_wildcards_of_headless_services() -> None:
    text = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: db}\n"
        "spec: {clusterIP: None, ports: [{name: http, port: 80}]}\n"
    )
    for host in ("db", "db-0.db", "db-0.db.default.svc.cluster.local"):
        assert to(host, text) == "db.default"
