"""Which rule speaks for a host: spellings, wildcards, ages. Istio's order, by table."""

from __future__ import annotations

import pytest

from tests.unit.translate.support import Call, follow, snapshot_of

SERVICES = "".join(
    f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    "spec: {clusterIP: None, ports: [{name: http, port: 80}]}\n"
    for name, namespace in [
        ("a", "default"),
        ("a", "shop"),
        *((f"to-{at}", "default") for at in range(4)),
    ]
)
OLD, NEW = "2020-01-01T00:00:00Z", "2024-01-01T00:00:00Z"


def rule(
    host: str, to: int, name: str = "", namespace: str = "default", created: str = "null"
) -> str:
    target = f"to-{to}.default.svc.cluster.local"
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name or f'r{to}'}, namespace: {namespace}, "
        f"creationTimestamp: {created}}}\n"
        f"spec: {{hosts: ['{host}'], http: [{{route: [{{destination: {{host: {target}}}}}]}}]}}\n"
    )


def taken_by(host: str, *rules: str) -> str:
    """``to-N`` of the rule that decides; the service itself, or what is not known."""
    made = snapshot_of(SERVICES, *rules)
    cluster = follow(made, "virtualOutbound", Call(80, host=host)).cluster
    return cluster.rpartition("|")[2].removesuffix(".default.svc.cluster.local")


@pytest.mark.parametrize(
    ("written", "namespace", "called", "takes"),
    [
        ("a", "default", "a", True),
        ("a", "default", "a.default", True),
        ("a", "default", "a.default.svc", True),
        ("a", "default", "A.default.svc.cluster.local", True),
        ("a", "default", "a:80", True),
        ("a", "default", "a.shop", False),
        ("a", "shop", "a", False),
        ("a", "shop", "a.shop", True),
        ("a.shop", "default", "a.shop.svc.cluster.local", True),
        ("a.shop.svc", "default", "a.shop", True),
        ("a.shop.svc.cluster.local", "default", "a.shop", True),
        ("*.shop.svc.cluster.local", "default", "a.shop", True),
        ("*.shop.svc.cluster.local", "default", "a", False),
        ("*.cluster.local", "default", "a", True),
        ("*.local", "other", "a.shop", True),
    ],
)
def test_spellings(written: str, namespace: str, called: str, takes: bool) -> None:
    assert (taken_by(called, rule(written, 1, namespace=namespace)) == "to-1") is takes


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        ("api.v1.example.com", "to-3"),
        ("x.v1.example.com", "to-2"),
        ("x.y.v1.example.com", "to-2"),
        ("v1.example.com", "to-1"),
        ("x.example.com", "to-1"),
        ("example.com", "PassthroughCluster"),
        ("example.org", "PassthroughCluster"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_most_specific_host_wins_wherever_it_stands(
    called: str, expected: str, turned: bool
) -> None:
    rules = [
        rule("*.example.com", 1),
        rule("*.v1.example.com", 2),
        rule("api.v1.example.com", 3),
    ]
    assert taken_by(called, *(rules[::-1] if turned else rules)) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # (name, namespace, created) of to-1 and of to-2.
        (("z", "default", OLD), ("a", "default", NEW), "to-1"),
        (("z", "default", NEW), ("a", "default", OLD), "to-2"),
        (("b", "default", "null"), ("a", "shop", "null"), "to-2"),
        (("a", "default", "null"), ("a", "shop", "null"), "to-1"),
        (("a", "shop", "null"), ("a", "default", "null"), "to-2"),
        (("a", "default", OLD), ("b", "default", OLD), "to-1"),
    ],
)
@pytest.mark.parametrize("host", ["a.default.svc.cluster.local", "*.default.svc.cluster.local"])
@pytest.mark.parametrize("turned", [False, True])
def test_of_two_rules_for_one_host_the_oldest_counts_then_name_then_namespace(
    first: tuple[str, str, str],
    second: tuple[str, str, str],
    expected: str,
    host: str,
    turned: bool,
) -> None:
    rules = [rule(host, 1, *first), rule(host, 2, *second)]
    assert taken_by("a", *(rules[::-1] if turned else rules)) == expected
