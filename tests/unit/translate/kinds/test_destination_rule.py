"""DestinationRules and their traffic policies."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import Balance
from meshproxy.translate.kinds.client_tls import ClientTls
from meshproxy.translate.kinds.destination_rule import DestinationRule
from meshproxy.translate.kinds.traffic_policy import NO_POLICY, Pool
from tests.unit.translate.support import Severity, check_fault, typed


def text(*spec: str) -> str:
    lines = "".join(f"  {line}\n" for line in spec)
    return (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
        f"spec:\n{lines}"
    )


def rule(*spec: str) -> DestinationRule:
    value, problems = typed(text("host: Reviews", *spec))
    assert not problems, [str(each) for each in problems]
    assert isinstance(value, DestinationRule)
    return value


def test_subsets() -> None:
    found = rule(
        "subsets:",
        "- {name: v1, labels: {version: v1}}",
        "- {name: v2, trafficPolicy: {loadBalancer: {simple: RANDOM}}}",
    )
    assert found.host == "reviews"
    assert found.policy is NO_POLICY
    first, second = found.subsets
    assert (first.name, first.labels, first.policy) == ("v1", {"version": "v1"}, NO_POLICY)
    assert second.policy.balance is Balance.RANDOM


@pytest.mark.parametrize(
    ("simple", "balance"),
    [
        ("ROUND_ROBIN", Balance.ROUND_ROBIN),
        ("RANDOM", Balance.RANDOM),
        ("LEAST_REQUEST", Balance.LEAST_REQUEST),
        ("LEAST_CONN", Balance.LEAST_REQUEST),
        ("PASSTHROUGH", Balance.PASSTHROUGH),
        ("UNSPECIFIED", Balance.LEAST_REQUEST),
    ],
)
def test_balancing(simple: str, balance: Balance) -> None:
    assert rule(f"trafficPolicy: {{loadBalancer: {{simple: {simple}}}}}").policy.balance is balance


def test_pools_tls_and_ports() -> None:
    policy = rule(
        "trafficPolicy:",
        "  connectionPool: {tcp: {connectTimeout: 2s}, http: {idleTimeout: 30s}}",
        "  tls: {mode: ISTIO_MUTUAL}",
        "  portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}]",
    ).policy
    assert policy.pool == Pool(2.0, 30.0)
    assert policy.tls == ClientTls("ISTIO_MUTUAL", path=("spec", "trafficPolicy", "tls"))
    assert policy.ports[81].tls is not None
    assert policy.ports[81].tls.mode == "DISABLE"
    assert policy.ports[81].pool is None


@pytest.mark.parametrize(
    ("given", "version"), [("{version: V1}", 1), ("{version: V2}", 2), ("{}", 1)]
)
def test_proxy_protocol(given: str, version: int) -> None:
    made = rule(f"trafficPolicy: {{proxyProtocol: {given}}}")
    assert made.policy.proxy_protocol == version


def test_selectors_and_export() -> None:
    found = rule("workloadSelector: {matchLabels: {app: a}}", "exportTo: ['.']")
    assert (found.selector, found.export_to) == ({"app": "a"}, (".",))
    assert rule().selector is None


HASH = "loadBalancer: {consistentHash: {"
LOCALITY = "loadBalancer: {localityLbSetting: {"
PLACES = {".HASH": ".loadBalancer.consistentHash", ".LOCALITY": ".loadBalancer.localityLbSetting"}

POLICY_FAULTS = [
    ("{}", "", ["must say something"]),
    ("{connectionPool: {}}", ".connectionPool", ["http or tcp"]),
    (
        "{connectionPool: {tcp: {connectTimeout: 1us}}}",
        ".connectionPool.tcp.connectTimeout",
        ["shorter"],
    ),
    ("{connectionPool: {tcp: {maxConnections: -1}}}", ".connectionPool.tcp.maxConnections", ["-1"]),
    (
        "{connectionPool: {http: {h2UpgradePolicy: MAYBE}}}",
        ".connectionPool.http.h2UpgradePolicy",
        ["not known"],
    ),
    (
        "{connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}",
        ".connectionPool.http.useClientProtocol",
        ["UPGRADE"],
    ),
    (
        "{connectionPool: {http: {http2KeepAlive: {interval: 1s}}}}",
        ".connectionPool.http.http2KeepAlive.timeout",
        ["required"],
    ),
    ("{loadBalancer: {simple: BEST}}", ".loadBalancer.simple", ["not known"]),
    (
        "{loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}",
        ".HASH",
        ["only one of"],
    ),
    ("{HASH httpCookie: {ttl: 1s}}}}", ".HASH.httpCookie.name", ["required"]),
    ("{HASH httpHeaderName: a, useSourceIp: true}}}", ".HASH.useSourceIp", ["only one"]),
    ("{HASH useSourceIp: true, maglev: {tableSize: 10}}}}", ".HASH.maglev.tableSize", ["prime"]),
    (
        "{HASH useSourceIp: true, maglev: {tableSize: 7}, minimumRingSize: 5}}}",
        ".HASH.minimumRingSize",
        ["beside"],
    ),
    (
        "{loadBalancer: {warmup: {minimumPercent: 5}}}",
        ".loadBalancer.warmup.duration",
        ["required"],
    ),
    (
        "{loadBalancer: {warmup: {duration: 1s, minimumPercent: 500}}}",
        ".loadBalancer.warmup.minimumPercent",
        ["0-100"],
    ),
    (
        "{LOCALITY distribute: [{from: a, to: {a: 50, b: 51}}]}}}",
        ".LOCALITY.distribute[0].to",
        ["add up to 101"],
    ),
    (
        "{LOCALITY distribute: [{from: a, to: {a: 100}}], failover: [{from: a, to: b}]}}}",
        ".LOCALITY.failover",
        ["distribute"],
    ),
    ("{LOCALITY failover: [{from: a, to: a}]}}}", ".LOCALITY.failover[0].to", ["came from"]),
    (
        "{LOCALITY distribute: [{from: 'a/*', to: {a: 100}}, {from: a/b, to: {a: 100}}]}}}",
        ".LOCALITY.distribute",
        ["overlap"],
    ),
    (
        "{outlierDetection: {maxEjectionPercent: 101}}",
        ".outlierDetection.maxEjectionPercent",
        ["101"],
    ),
    (
        "{outlierDetection: {consecutiveLocalOriginFailures: 1}}",
        ".outlierDetection.consecutiveLocalOriginFailures",
        ["split"],
    ),
    (
        "{outlierDetection: {outlierDetectionHttpErrorCodes: [99]}}",
        ".outlierDetection.outlierDetectionHttpErrorCodes[0]",
        ["99"],
    ),
    ("{tls: {mode: STRICT}}", ".tls.mode", ["not known"]),
    ("{tls: {mode: MUTUAL}}", ".tls.privateKey", ["required"]),
    (
        "{tls: {mode: SIMPLE, credentialName: a, caCertificates: b}}",
        ".tls.caCertificates",
        ["credentialName"],
    ),
    (
        "{tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}}",
        ".tls.subjectAltNames",
        ["insecure"],
    ),
    (
        "{tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: a}}",
        ".tls.caCertificates",
        ["insecure"],
    ),
    ("{portLevelSettings: [{tls: {mode: DISABLE}}]}", ".portLevelSettings[0].port", ["required"]),
    (
        "{portLevelSettings: [{port: {number: 80}}]}",
        ".portLevelSettings[0]",
        ["must say something"],
    ),
    (
        "{tunnel: {targetHost: a, targetPort: 80}, proxyProtocol: {version: V1}}",
        ".tunnel",
        ["can't both"],
    ),
    ("{tunnel: {targetPort: 80}}", ".tunnel.targetHost", ["required"]),
    ("{tunnel: {targetHost: a b, targetPort: 80}}", ".tunnel.targetHost", ["not a host name"]),
    ("{retryBudget: {percent: 200}}", ".retryBudget.percent", ["0-100"]),
    (
        "{loadBalancer: {warmup: {duration: 1s, aggression: 0.5}}}",
        ".loadBalancer.warmup.aggression",
        ["below 1"],
    ),
    (
        "{connectionPool: {tcp: {idleTimeout: 1.0005s}}}",
        ".connectionPool.tcp.idleTimeout",
        ["milliseconds"],
    ),
]


@pytest.mark.parametrize(("policy", "field", "words"), POLICY_FAULTS)
def test_policy_faults(policy: str, field: str, words: list[str]) -> None:
    policy = policy.replace("HASH ", HASH).replace("LOCALITY ", LOCALITY)
    for short, full in PLACES.items():
        field = field.replace(short, full)
    check_fault(text("host: a", f"trafficPolicy: {policy}"), f"spec.trafficPolicy{field}", *words)


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (["subsets: []"], "spec.host", ["is empty"]),
        (["host: a b"], "spec.host", ["not a host name"]),
        (["host: a", "subsets: [{labels: {}}]"], "spec.subsets[0].name", ["subset's name"]),
        (["host: a", "subsets: [{name: v}, {name: v}]"], "spec.subsets[1].name", ["twice"]),
        (
            ["host: a", "subsets: [{name: v, labels: {a: b c}}]"],
            "spec.subsets[0].labels.a",
            ["value"],
        ),
        (
            ["host: a", "workloadSelector: {matchLabels: {a: '*'}}"],
            "spec.workloadSelector.matchLabels.a",
            ["wildcards"],
        ),
        (
            ["host: a", f"workloadSelector: {{matchLabels: {{a: {'b' * 64}}}}}"],
            "spec.workloadSelector.matchLabels.a",
            ["longer than 63"],
        ),
        (
            ["host: a", "workloadSelector: {matchLabels: {a: b}}", "exportTo: [other]"],
            "spec.exportTo",
            ["stays in its namespace"],
        ),
    ],
)
def test_faults(spec: list[str], field: str, words: list[str]) -> None:
    check_fault(text(*spec), field, *words)


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ("{connectionPool: {tcp: {maxConnections: 1}}}", "connectionPool.tcp.maxConnections"),
        ("{connectionPool: {tcp: {idleTimeout: 1s}}}", "connectionPool.tcp.idleTimeout"),
        ("{connectionPool: {http: {maxRetries: 1}}}", "connectionPool.http.maxRetries"),
        ("{outlierDetection: {interval: 1s}}", "outlierDetection"),
        ("{outlierDetection: {consecutiveErrors: 1}}", "outlierDetection.consecutiveErrors"),
        ("{loadBalancer: {consistentHash: {useSourceIp: true}}}", "loadBalancer.consistentHash"),
        (
            "{loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}}",
            "loadBalancer.localityLbSetting.failover",
        ),
        ("{tunnel: {targetHost: a, targetPort: 80}}", "tunnel"),
    ],
)
def test_what_is_not_done_is_said(policy: str, field: str) -> None:
    check_fault(
        text("host: a", f"trafficPolicy: {policy}"),
        f"spec.trafficPolicy.{field}",
        severity=Severity.WARNING,
    )
