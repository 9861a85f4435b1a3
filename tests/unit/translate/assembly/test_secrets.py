"""Secrets that DestinationRules name."""

from __future__ import annotations

import base64

from meshproxy.model.secret import SecretRef
from meshproxy.translate import Problem, Severity, Translation
from tests.unit.translate.support import ME, translated

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
"""
REF = SecretRef(credential="default/s")


def encoded(word: str) -> str:
    return base64.b64encode(f"-----BEGIN {word}".encode()).decode()


def secret(name: str = "s", namespace: str = "default", **data: str) -> str:
    pairs = ", ".join(f"{key}: {encoded(word)}" for key, word in data.items())
    return (
        f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"data: {{{pairs}}}\n"
    )


RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: r}
spec:
  host: a
  trafficPolicy:
    tls: {mode: MUTUAL, credentialName: s}
"""


def found(*texts: str) -> tuple[Translation, list[Problem]]:
    made = translated(ME, SERVICE, *texts)
    return made, [each for each in made.problems if each.severity is not Severity.NOTE]


def test_a_secret_goes_beside_the_snapshot_and_not_into_it() -> None:
    made, problems = found(RULE, secret(cert="geheim", key="geheim", cacert="roots"))
    assert problems == []
    assert made.secrets[REF].certificate == b"-----BEGIN geheim"
    assert made.secrets[REF].roots == b"-----BEGIN roots"
    assert made.snapshot is not None
    tls = made.snapshot.clusters["outbound|80||a.default.svc.cluster.local"].tls
    assert tls is not None
    assert tls.secret == REF
    assert "geheim" not in repr(made)
    assert "geheim" not in repr(made.snapshot)


def test_roots_of_their_own() -> None:
    pair = secret(cert="c", key="k", cacert="unused")
    made, _ = found(RULE, pair, secret("s-cacert", cacert="apart"))
    assert made.secrets[REF].roots == b"-----BEGIN apart"
    assert made.secrets[REF].key == b"-----BEGIN k"


def test_a_missing_secret_is_said_where_it_is_named() -> None:
    made, (problem,) = found(RULE, secret("s", "other", cert="c", key="k"))
    assert made.secrets == {}
    assert made.snapshot is not None
    assert (problem.line, problem.field) == (7, "spec.trafficPolicy.tls.credentialName")
    assert "there is no Secret default/s" in problem.text
    assert "503" in problem.text


def test_mutual_tls_needs_a_certificate_and_its_key() -> None:
    _, (problem,) = found(RULE, secret(cacert="c", cert="c"))
    assert "no certificate with a key" in problem.text
    _, problems = found(RULE.replace("MUTUAL", "SIMPLE"), secret(cacert="c"))
    assert problems == []


def test_what_no_rule_names_is_kept_back() -> None:
    made, problems = found(secret(cert="c", key="k"), RULE.replace("host: a", "host: b"))
    assert (dict(made.secrets), problems) == ({}, [])
