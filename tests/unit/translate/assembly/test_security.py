"""Who may call: mutual TLS by mesh, namespace, workload and port, and what is closed."""

from __future__ import annotations

import pytest

from meshproxy.model.listener import FilterChain
from meshproxy.model.policy import Rule, Term
from tests.unit.translate.support import Call, follow, problems_of, refusal, snapshot_of


def peer(spec: str, namespace: str = "default", name: str = "p", created: str = "null") -> str:
    return (
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: {created}}}\n"
        f"spec: {spec}\n"
    )


def policy(spec: str, namespace: str = "default", annotations: str = "{}") -> str:
    return (
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: z, namespace: {namespace}, annotations: {annotations}}}\n"
        f"spec: {spec}\n"
    )


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: mine}
spec: {selector: {app: me}, ports: [{name: http, port: 80}, {name: tcp, port: 81}]}
"""
MINE = "selector: {matchLabels: {app: me}}"
STRICT = "{mtls: {mode: STRICT}}"
OPEN = "{mtls: {mode: PERMISSIVE}}"


def chain(*texts: str, port: int = 80, identity: bool = False) -> FilterChain:
    made = snapshot_of(SERVICE, *texts, identity=identity)
    return follow(made, "virtualInbound", Call(port, "10.0.0.1")).chain


def strict(*texts: str, port: int = 80) -> bool:
    return bool(chain(*texts, port=port).refuse_plaintext)


@pytest.mark.parametrize("mode", ["PERMISSIVE", "DISABLE", "UNSET"])
def test_plaintext_may_enter(mode: str) -> None:
    assert not strict()
    assert not strict(peer(f"{{mtls: {{mode: {mode}}}}}"))


@pytest.mark.parametrize(
    ("mode", "identity", "mtls"),
    [
        ("STRICT", True, True),
        ("PERMISSIVE", True, True),
        ("UNSET", True, True),
        ("DISABLE", True, False),
        # It can't be answered; that it must be is said all the same, so that nothing else enters.
        ("STRICT", False, True),
        ("PERMISSIVE", False, False),
        ("UNSET", False, False),
        ("DISABLE", False, False),
    ],
)
def test_where_mutual_tls_is_ended(mode: str, identity: bool, mtls: bool) -> None:
    for port in (80, 81, 9999):
        found = chain(peer(f"{{mtls: {{mode: {mode}}}}}"), port=port, identity=identity)
        assert found.mtls is mtls
        assert bool(found.refuse_plaintext) == (mode == "STRICT")


def test_mutual_tls_is_ended_without_any_policy() -> None:
    assert chain(identity=True).mtls
    assert not chain().mtls


def test_mutual_tls_of_a_port() -> None:
    spec = f"{{{MINE}, mtls: {{mode: DISABLE}}, portLevelMtls: {{81: {{mode: PERMISSIVE}}}}}}"
    for port, mtls in ((80, False), (81, True), (9999, False)):
        assert chain(peer(spec), port=port, identity=True).mtls is mtls


def test_strict_is_for_known_and_unknown_ports() -> None:
    for port in (80, 81, 9999):
        assert strict(peer(STRICT), port=port)
    assert "PeerAuthentication default/p" in chain(peer(STRICT)).refuse_plaintext


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([peer(STRICT, "istio-system")], True),
        ([peer(STRICT, "istio-system"), peer(OPEN)], False),
        ([peer(OPEN, "istio-system"), peer(STRICT)], True),
        ([peer(STRICT, "istio-system"), peer("{}")], True),
        ([peer(STRICT, "istio-system"), peer("{mtls: {mode: UNSET}}")], True),
        ([peer(STRICT, "other")], False),
        ([peer(f"{{{MINE}, mtls: {{mode: STRICT}}}}")], True),
        ([peer("{selector: {matchLabels: {app: you}}, mtls: {mode: STRICT}}")], False),
        ([peer(STRICT), peer(f"{{{MINE}, mtls: {{mode: DISABLE}}}}", name="q")], False),
        ([peer(f"{{{MINE}, mtls: {{mode: STRICT}}}}", "istio-system")], False),
    ],
)
def test_the_narrowest_counts(policies: list[str], expected: bool) -> None:
    assert strict(*policies) is expected


def test_the_oldest_of_two_counts() -> None:
    new = peer(STRICT, name="a", created="2024-01-01T00:00:00Z")
    old = peer(OPEN, name="b", created="2023-01-01T00:00:00Z")
    assert not strict(new, old)


def test_ports() -> None:
    text = peer(
        f"{{{MINE}, mtls: {{mode: STRICT}}, portLevelMtls: "
        "{80: {mode: DISABLE}, 81: {mode: UNSET}, 7000: {mode: PERMISSIVE}}}"
    )
    assert not strict(text, port=80)
    assert strict(text, port=81)
    assert not strict(text, port=7000)
    assert strict(text, port=7001)
    only = peer(f"{{{MINE}, portLevelMtls: {{7000: {{mode: STRICT}}}}}}")
    assert strict(only, port=7000)
    assert not strict(only, port=7001)


def test_ports_that_a_sidecar_opens() -> None:
    sidecar = (
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\nspec:\n"
        "  ingress:\n  - {port: {number: 8080, protocol: HTTP}, captureMode: NONE,\n"
        "     defaultEndpoint: '127.0.0.1:1'}\n"
    )
    made = snapshot_of(sidecar, peer(STRICT))
    assert made.listeners["10.0.0.1_8080"].chains[0].refuse_plaintext
    by_port = peer(f"{{{MINE}, portLevelMtls: {{8080: {{mode: STRICT}}}}}}")
    (opened,) = snapshot_of(sidecar, by_port).listeners["10.0.0.1_8080"].chains
    assert opened.refuse_plaintext
    assert opened.port == 0


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        (policy("{}"), True),
        (policy("{rules: [{}]}"), False),
        (policy("{action: DENY, rules: [{}]}"), True),
        (policy("{action: AUDIT, rules: [{}]}"), False),
        (policy("{rules: [{}]}", annotations="{istio.io/dry-run: 'true'}"), False),
        (policy("{}", "istio-system"), True),
        (policy("{}", "other"), False),
        (policy(f"{{{MINE}}}"), True),
        (policy(f"{{{MINE}}}", "istio-system"), True),
        (policy("{selector: {matchLabels: {app: you}}}"), False),
        (policy("{targetRefs: [{kind: Service, name: s}]}"), False),
        (policy("{action: CUSTOM, provider: {name: p}, rules: [{}]}"), True),
    ],
)
def test_policies_close(text: str, closed: bool) -> None:
    assert [bool(each) for each in refusal(snapshot_of(SERVICE, text))] == [closed] * 2


def test_tokens_close() -> None:
    text = (
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: j}\n"
        "spec: {jwtRules: [{issuer: a}]}\n"
    )
    assert "RequestAuthentication default/j" in chain(text).deny
    assert not chain(text.replace("jwtRules: [{issuer: a}]", "")).deny


@pytest.mark.parametrize(
    "text",
    [
        peer("{mtls: {mode: PERMISSIVE}, mlts: {mode: STRICT}}"),
    ],
)
def test_half_understood_objects_close(text: str) -> None:
    deny = chain(text).deny
    assert "is not known" in deny


EXPERIMENTAL = "when: [{key: 'experimental.envoy.filters.a[b]', %s: [c]}]"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{rules: [{}], unknown: 1}", "allows nothing"),
        ("{action: DENY, rules: [{to: [{operation: {path: [/x], ports: ['1']}}]}]}", "denies"),
        ("{action: CUSTOM, provider: {name: p}, rules: [{}]}", "denies"),
    ],
)
def test_half_understood_policies_refuse_everything(spec: str, said: str) -> None:
    text = policy(spec)
    assert all(refusal(snapshot_of(SERVICE, text)))
    problems = [each for each in problems_of(SERVICE, text) if each.code == "unusable-policy"]
    (problem,) = problems
    assert said in problem.text
    assert problem.line > 0


def test_a_half_understood_allow_policy_does_not_stop_another_one() -> None:
    broken = policy("{rules: [{}], unknown: 1}").replace("name: z", "name: broken")
    assert not any(refusal(snapshot_of(SERVICE, policy("{rules: [{}]}"), broken)))


@pytest.mark.parametrize(
    "text",
    [
        policy("{action: AUDIT, rule: [{}]}"),
        policy("{action: DENY, rules: [{}], x: y}", annotations="{istio.io/dry-run: 'true'}"),
    ],
)
def test_what_decides_nothing_decides_nothing_when_half_understood(text: str) -> None:
    assert not any(refusal(snapshot_of(SERVICE, text)))


@pytest.mark.parametrize("field", ["values", "notValues"])
def test_what_is_not_known_lets_nobody_in(field: str) -> None:
    """Less is allowed and more denied, by that rule; and it is said."""
    asked = EXPERIMENTAL % field
    on_path = f"{{to: [{{operation: {{paths: [/x], ports: ['80']}}}}], {asked}}}"
    assert all(refusal(snapshot_of(SERVICE, policy(f"{{rules: [{{{asked}}}]}}"))))
    assert not any(refusal(snapshot_of(SERVICE, policy(f"{{rules: [{{{asked}}}, {{}}]}}"))))
    denies = policy(f"{{action: DENY, rules: [{on_path}]}}")
    assert refusal(snapshot_of(SERVICE, denies), "/x")[0]
    assert not refusal(snapshot_of(SERVICE, denies), "/y")[0]
    (problem,) = problems_of(SERVICE, denies)
    assert problem.field == "spec.rules[0].when[0].key"
    assert "not known" in problem.text


def test_policies_are_asked_in_envoys_order() -> None:
    found = snapshot_of(
        SERVICE,
        policy("{}").replace("name: z", "name: a"),
        policy("{}").replace("name: z", "name: a-b"),
        policy("{}", "istio-system"),
    ).authorization
    assert [(each.namespace, each.name) for each in found] == [
        ("istio-system", "z"),
        ("default", "a-b"),
        ("default", "a"),
    ]
    assert found[0].origin.file == "4.yaml"


def test_rules_are_kept() -> None:
    text = policy(
        "{action: DENY, rules: [{from: [{source: {notPrincipals: [a], namespaces: [b]}}], "
        "to: [{operation: {paths: [/x], notPaths: [/y]}}], "
        "when: [{key: source.ip, values: ['1.2.3.4']}]}]}"
    )
    (found,) = snapshot_of(SERVICE, text).authorization
    assert found.rules == (
        Rule(
            ((Term("principals", (), ("a",)), Term("namespaces", ("b",))),),
            ((Term("paths", ("/x",), ("/y",)),),),
            (Term("source.ip", ("1.2.3.4",)),),
        ),
    )


def test_outbound_is_not_guarded() -> None:
    made = snapshot_of(SERVICE, peer(STRICT), policy("{}"))
    for found in made.listeners["virtualOutbound"].chains:
        assert not found.deny
        assert not found.refuse_plaintext
