"""Which DestinationRule holds, and for what."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import Balance, Cluster, ClusterKind, Keepalive
from tests.unit.translate.support import ME, snapshot_of, translated

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


def test_a_port_of_a_subset_inherits_nothing() -> None:
    found = cluster(
        rule(
            f"host: {HOST}, trafficPolicy: {{loadBalancer: {{simple: RANDOM}}, "
            "connectionPool: {tcp: {connectTimeout: 1s}}}, "
            "subsets: [{name: v1, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 5s}}, "
            "portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: ROUND_ROBIN}}]}}]"
        ),
        subset="v1",
    )
    assert (found.balance, found.connect_timeout) == (Balance.ROUND_ROBIN, 10.0)


PROXY = "proxyProtocol: {version: V2}"
ON_PORT = "portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]"


@pytest.mark.parametrize(
    ("policy", "of_subset", "version"),
    [
        ("{}", "", 0),
        (f"{{{PROXY}}}", "", 2),
        (f"{{{PROXY}}}", "{loadBalancer: {simple: RANDOM}}", 2),
        (f"{{{PROXY}}}", "{proxyProtocol: {version: V1}}", 1),
        (f"{{{PROXY}}}", f"{{{ON_PORT}}}", 2),
        (f"{{{PROXY}, {ON_PORT}}}", "", 0),
        (f"{{{PROXY}, {ON_PORT}}}", "{proxyProtocol: {version: V1}}", 1),
        ("{}", "{proxyProtocol: {}}", 1),
    ],
)
def test_proxy_protocol(policy: str, of_subset: str, version: int) -> None:
    """As `MergeSubsetTrafficPolicy` has it: a service's port drops it, a subset's does not."""
    subset = f"{{name: v1{', trafficPolicy: ' + of_subset if of_subset else ''}}}"
    given = "" if policy == "{}" else f"trafficPolicy: {policy}, "
    text = rule(f"host: {HOST}, {given}subsets: [{subset}]")
    assert cluster(text, subset="v1").proxy_protocol == version


def test_keep_alive_probes() -> None:
    pool = "connectionPool: {tcp: {tcpKeepalive: {probes: 3, time: 7200s, interval: 1500ms}}}"
    found = cluster(rule(f"host: {HOST}, trafficPolicy: {{{pool}}}"))
    assert found.keepalive == Keepalive(3, 7200, 2)
    empty = "connectionPool: {tcp: {tcpKeepalive: {}}}"
    assert cluster(rule(f"host: {HOST}, trafficPolicy: {{{empty}}}")).keepalive == Keepalive()
    assert cluster().keepalive is None


ROOT = "istio-system"


def of_a_caller_in(namespace: str, *texts: str) -> Balance:
    me = ME.replace("namespace: default", f"namespace: {namespace}")
    found = translated(me, SERVICE, *texts, me=f"{namespace}/me")
    assert found.snapshot is not None, [str(each) for each in found.errors]
    return found.snapshot.clusters[f"outbound|80||{HOST}"].balance


def test_callers_in_the_root_namespace_follow_the_services_rule() -> None:
    """What stands in the root namespace is meant for all, unless it is nobody else's."""
    for_all = rule(f"host: '*.local', {balance('RANDOM')}", ROOT, "all")
    of_service = rule(f"host: {HOST}, {balance('ROUND_ROBIN')}")
    own = rule(f"host: {HOST}, exportTo: ['.'], {balance('PASSTHROUGH')}", ROOT, "own")
    assert of_a_caller_in(ROOT, for_all) is Balance.RANDOM
    assert of_a_caller_in(ROOT, for_all, of_service) is Balance.ROUND_ROBIN
    assert of_a_caller_in(ROOT, for_all, of_service, own) is Balance.PASSTHROUGH
    assert of_a_caller_in("default", for_all, of_service, own) is Balance.ROUND_ROBIN


@pytest.mark.parametrize(
    ("export_to", "expected"),
    [
        ("", Balance.RANDOM),
        ("exportTo: ['*'], ", Balance.RANDOM),
        ("exportTo: [default], ", Balance.RANDOM),
        ("exportTo: [default, other], ", Balance.RANDOM),
        ("exportTo: [other], ", Balance.LEAST_REQUEST),
        ("exportTo: ['.'], ", Balance.LEAST_REQUEST),
    ],
)
def test_who_sees_a_rule(export_to: str, expected: Balance) -> None:
    text = rule(f"host: {HOST}, {export_to}{balance('RANDOM')}")
    assert of_a_caller_in("default", text) is expected


def test_the_meshs_export_holds_where_a_rule_says_nothing() -> None:
    mesh = "kind: MeshConfig\ndefaultDestinationRuleExportTo: ['.']\n"
    text = rule(f"host: {HOST}, {balance('RANDOM')}")
    assert of_a_caller_in("default", text, mesh) is Balance.LEAST_REQUEST
    assert of_a_caller_in("shop", text, mesh) is Balance.RANDOM


def clusters(*texts: str) -> dict[str, Balance]:
    """By subset."""
    made = snapshot_of(SERVICE, *texts).clusters
    names = ("", "v1", "v2")
    keys = {name: f"outbound|80|{name}|{HOST}" for name in names}
    return {name: made[key].balance for name, key in keys.items() if key in made}


LEAST, RANDOM, ROUND = Balance.LEAST_REQUEST, Balance.RANDOM, Balance.ROUND_ROBIN


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_a_rule_that_selects_its_callers_stands_alone(names: str) -> None:
    mine = "workloadSelector: {matchLabels: {app: me}}"
    text = f"host: {HOST}, {mine}, subsets: [{{name: v1}}]"
    selecting = rule(text, "default", names[0])
    general = rule(
        f"host: {HOST}, subsets: [{{name: v2}}], {balance('RANDOM')}", "default", names[1]
    )
    assert clusters(selecting, general) == {"": LEAST, "v1": LEAST}
    others = selecting.replace("app: me", "app: you")
    assert clusters(others, general) == {"": RANDOM, "v2": RANDOM}
    more = rule(f"host: {HOST}, {mine}, {balance('ROUND_ROBIN')}", "default", "c")
    assert clusters(selecting, general, more) == {"": ROUND, "v1": ROUND}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "", {"": RANDOM, "v1": RANDOM, "v2": RANDOM}),
        ("['*']", "['*']", {"": RANDOM, "v1": RANDOM, "v2": RANDOM}),
        # For further callers than the older one is for, the newer stands alone.
        ("[zzz, default]", "", {"": ROUND, "v2": ROUND}),
        ("[default]", "[default, zzz]", {"": ROUND, "v2": ROUND}),
        ("[zzz]", "['*']", {"": ROUND, "v2": ROUND}),
        ("['*']", "[zzz]", {"": RANDOM, "v1": RANDOM}),
    ],
)
def test_rules_are_put_together_that_are_for_the_same_callers(
    first: str, second: str, expected: dict[str, Balance]
) -> None:
    def exported(text: str) -> str:
        return f"exportTo: {text}, " if text else ""

    old = rule(
        f"host: {HOST}, {exported(first)}{balance('RANDOM')}, subsets: [{{name: v1}}]", name="a"
    )
    new = rule(
        f"host: {HOST}, {exported(second)}{balance('ROUND_ROBIN')}, subsets: [{{name: v2}}]",
        name="b",
    )
    assert clusters(old, new) == expected


def test_an_exact_rule_for_others_hides_its_namespaces_wildcard() -> None:
    exact = rule(f"host: {HOST}, exportTo: [zzz], {balance('PASSTHROUGH')}", name="exact")
    wide = rule(f"host: '*.local', {balance('RANDOM')}", name="wide")
    root = rule(f"host: '*.local', {balance('ROUND_ROBIN')}", ROOT, "root")
    assert cluster(exact, wide, root).balance is Balance.ROUND_ROBIN


def test_a_rule_for_other_callers_hides_those_of_further_namespaces() -> None:
    others = "workloadSelector: {matchLabels: {app: you}}"
    near = rule(f"host: {HOST}, {others}, {balance('RANDOM')}", "default")
    far = rule(f"host: {HOST}, {balance('ROUND_ROBIN')}")
    assert cluster(near, far).balance is Balance.LEAST_REQUEST


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
