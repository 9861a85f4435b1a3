"""The kinds of security.istio.io, and that half-understood ones can't be relied on."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.authorization_policy import AuthorizationPolicy
from meshproxy.translate.kinds.peer_authentication import PeerAuthentication
from tests.unit.translate.support import Severity, check_fault, typed


def text(kind: str, spec: str, metadata: str = "name: a") -> str:
    return (
        f"apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{{metadata}}}\n"
        f"spec:\n  {spec}\n"
    )


def peer(spec: str) -> PeerAuthentication:
    value, problems = typed(text("PeerAuthentication", spec))
    assert not problems, [str(each) for each in problems]
    assert isinstance(value, PeerAuthentication)
    return value


def policy(spec: str, metadata: str = "name: a") -> AuthorizationPolicy:
    value, problems = typed(text("AuthorizationPolicy", spec, metadata))
    assert not [each for each in problems if each.severity is Severity.ERROR]
    assert isinstance(value, AuthorizationPolicy)
    return value


def test_peer_authentication() -> None:
    found = peer(
        "{selector: {matchLabels: {a: b}}, mtls: {mode: STRICT}, "
        "portLevelMtls: {80: {mode: DISABLE}}}"
    )
    assert (found.selector, found.mode, found.ports) == ({"a": "b"}, "STRICT", {80: "DISABLE"})
    assert not found.fault
    assert peer("{}").mode == "UNSET"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("mtls: {mode: MAYBE}", "mtls.mode"),
        ("mtls: {mode: ''}", "mtls.mode"),
        ("mtls: STRICT", "mtls"),
        ("portLevelMtls: {80: {mode: STRICT}}", "portLevelMtls"),
        ("{selector: {matchLabels: {a: b}}, portLevelMtls: {}}", "portLevelMtls"),
        ("{selector: {matchLabels: {a: b}}, portLevelMtls: {0: {}}}", "portLevelMtls.0"),
        ("{selector: {matchLabels: {a: b}}, portLevelMtls: {http: {}}}", "portLevelMtls.http"),
        ("{selector: {matchLabels: {a: b}}, portLevelMtls: {80: STRICT}}", "portLevelMtls.80"),
        ("selector: {matchLabels: {'': b}}", 'selector.matchLabels[""]'),
    ],
)
def test_peer_authentication_faults(spec: str, field: str) -> None:
    check_fault(text("PeerAuthentication", spec), f"spec.{field}")


@pytest.mark.parametrize(
    ("spec", "decides"),
    [
        ("{}", True),
        ("rules: [{}]", True),
        ("{action: DENY, rules: [{}]}", True),
        ("{action: AUDIT, rules: [{}]}", False),
        ("{action: CUSTOM, provider: {name: p}, rules: [{}]}", True),
        ("{targetRefs: [{kind: Service, name: s}], rules: [{}]}", False),
    ],
)
def test_which_policies_decide(spec: str, decides: bool) -> None:
    assert policy(spec).decides is decides


@pytest.mark.parametrize(("value", "dry"), [("true", True), ("T", True), ("false", False)])
def test_dry_runs_never_decide(value: str, dry: bool) -> None:
    metadata = f"name: a, annotations: {{istio.io/dry-run: '{value}'}}"
    assert policy("rules: [{}]", metadata).decides is not dry


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("PeerAuthentication", "{mtls: {mode: PERMISSIVE, mdoe: STRICT}}"),
        ("PeerAuthentication", "{mtsl: {mode: STRICT}}"),
        ("AuthorizationPolicy", "{rule: [{}]}"),
        (
            "AuthorizationPolicy",
            "{action: DENY, rules: [{from: [{source: {ipBlock: [a], namespaces: [b]}}]}]}",
        ),
    ],
)
def test_a_field_nobody_knows_makes_it_unreliable(kind: str, spec: str) -> None:
    value, problems = typed(text(kind, spec))
    assert [each.severity for each in problems] == [Severity.WARNING]
    assert value.fault.endswith("this field is not known and has no effect")
    if kind == "AuthorizationPolicy":
        assert value.decides


RULE_FAULTS = [
    ("{from: []}", "from", ["is empty"]),
    ("{to: []}", "to", ["is empty"]),
    ("{from: [{}]}", "from[0].source", ["must be set"]),
    ("{to: [{}]}", "to[0].operation", ["must be set"]),
    ("{from: [{source: {}}]}", "from[0].source", ["asks for nothing"]),
    ("{to: [{operation: {}}]}", "to[0].operation", ["asks for nothing"]),
    ("{from: [{source: {principals: ['']}}]}", "from[0].source.principals[0]", ["is empty"]),
    ("{from: [{source: {notIpBlocks: [x]}}]}", "from[0].source.notIpBlocks[0]", ["subnet"]),
    (
        "{from: [{source: {serviceAccounts: [a/b/c]}}]}",
        "from[0].source.serviceAccounts[0]",
        ["NAME"],
    ),
    (
        "{from: [{source: {serviceAccounts: [a/b], namespaces: [c]}}]}",
        "from[0].source.serviceAccounts",
        ["beside"],
    ),
    ("{to: [{operation: {ports: [http]}}]}", "to[0].operation.ports[0]", ["not a port"]),
    ("{to: [{operation: {paths: ['/{*}/x*']}}]}", "to[0].operation.paths[0]", ["mixes"]),
    ("{to: [{operation: {paths: ['/a/{x}']}}]}", "to[0].operation.paths[0]", ["{*} and {**}"]),
    (
        f"{{from: [{{source: {{serviceAccounts: [{', '.join('abcdefghijklmnopq')}]}}}}]}}",
        "from[0].source.serviceAccounts",
        ["16 is the most"],
    ),
    (
        f"{{from: [{{source: {{serviceAccounts: [{'a' * 321}]}}}}]}}",
        "from[0].source.serviceAccounts[0]",
        ["longer than 320"],
    ),
    ("{from: [{source: {serviceAccounts: [a/*]}}]}", "from[0].source.serviceAccounts[0]", ["NAME"]),
    ("{to: [{operation: {paths: ['/a{*}']}}]}", "to[0].operation.paths[0]", ["whole segment"]),
    ("{to: [{operation: {paths: ['/{**}/{**}']}}]}", "to[0].operation.paths[0]", ["twice"]),
    ("{to: [{operation: {paths: ['/{**}/{*}']}}]}", "to[0].operation.paths[0]", ["after"]),
    ("{when: [{values: [a]}]}", "when[0].key", ["is required"]),
    ("{when: [{key: source.ip}]}", "when[0].values", ["must be set"]),
    ("{when: [{key: source.port, values: [a]}]}", "when[0].key", ["not an attribute"]),
    ("{when: [{key: source.ip, notValues: [x]}]}", "when[0].notValues[0]", ["subnet"]),
    ("{when: [{key: destination.port, values: [x]}]}", "when[0].values[0]", ["not a port"]),
]


@pytest.mark.parametrize(("rule", "field", "words"), RULE_FAULTS)
def test_rule_faults(rule: str, field: str, words: list[str]) -> None:
    check_fault(text("AuthorizationPolicy", f"rules: [{rule}]"), f"spec.rules[0].{field}", *words)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("action: FORBID", "spec.action"),
        ("action: DENY", "spec.rules"),
        ("{action: DENY, rules: []}", "spec.rules"),
        ("action: ''", "spec.action"),
        ("action: CUSTOM", "spec.provider"),
        ("{action: CUSTOM, provider: {}, rules: [{}]}", "spec.provider.name"),
        ("provider: {name: p}", "spec.provider"),
        (
            "{action: CUSTOM, provider: {name: p}, rules: [{from: [{source: {principals: [a]}}]}]}",
            "spec.rules[0].from[0].source.principals",
        ),
        (
            "{action: CUSTOM, provider: {name: p}, "
            "rules: [{when: [{key: source.principal, values: [a]}]}]}",
            "spec.rules[0].when[0].key",
        ),
        (
            "{selector: {matchLabels: {a: b}}, targetRef: {kind: Service, name: s}}",
            "spec.targetRef",
        ),
        ("{selector: {}, targetRefs: [{kind: Service, name: s}]}", "spec.targetRefs"),
    ],
)
def test_policy_faults(spec: str, field: str) -> None:
    check_fault(text("AuthorizationPolicy", spec), field)


def test_annotations_that_mean_nothing() -> None:
    odd = text("AuthorizationPolicy", "{}", "name: a, annotations: {istio.io/dry-run: maybe}")
    check_fault(odd, 'metadata.annotations["istio.io/dry-run"]', "neither")
    audit = text(
        "AuthorizationPolicy", "action: AUDIT", "name: a, annotations: {istio.io/dry-run: 'true'}"
    )
    check_fault(audit, 'metadata.annotations["istio.io/dry-run"]', "AUDIT")


def test_http_alone_denies_all_of_tcp() -> None:
    spec = "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}"
    check_fault(
        text("AuthorizationPolicy", spec), "spec.rules[0]", "TCP", severity=Severity.WARNING
    )


def test_tokens_are_not_verified() -> None:
    value, problems = typed(text("RequestAuthentication", "jwtRules: [{issuer: a}]"))
    assert value.rules == 1
    assert [each.field for each in problems] == ["spec.jwtRules"]
    assert typed(text("RequestAuthentication", "{}"))[1] == []
