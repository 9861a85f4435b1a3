"""Istio's own examples: what its RBAC filter decides, we decide.

Requests are made of the strings that stand in the filter, matching and off by a character.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from meshproxy.base.addr import Address
from meshproxy.model.policy import Policy
from meshproxy.model.snapshot import Snapshot
from meshproxy.policy.judge import judge_of_connections, judge_of_requests
from meshproxy.record import Record, Secured
from meshproxy.translate import Library, Options, SourceText, translate
from meshproxy.wire.heads import HTTP11, RequestHead, index
from tests.support import conformance, rbac
from tests.support.rbac import Asked

CORPUS = "authz"
WORKLOAD = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: httpbin, namespace: foo}
spec: {address: 10.0.0.1, labels: {app: httpbin, version: v1}}
"""
MANY = 400
# Nobody satisfies these: they ask for tokens or for two namespaces at once, or allow nobody or all.
ONE_ANSWER = {
    "http/allow-empty-rule",
    "http/allow-nil-rule",
    "http/dry-run-allow",
    "http/single-policy",
    "tcp/allow-only-http",
    "tcp/audit-both-http-tcp",
}


def _cases() -> Iterator[Any]:
    for case in conformance.cases(CORPUS, "cases.yaml"):
        (value,) = case.values
        marks = list(case.marks)
        if value is not None and value["builder"] == "custom":
            marks.append(pytest.mark.skip("external authorizers are not asked in this build"))
        yield pytest.param(value, id=case.id, marks=marks)


CASES = list(_cases())


def _snapshot(case: Mapping[str, Any]) -> Snapshot:
    mesh = {
        "kind": "MeshConfig",
        "trustDomain": case.get("trustDomain", ""),
        "trustDomainAliases": case.get("trustDomainAliases", []),
        "rootNamespace": "istio-config",
    }
    texts = [WORKLOAD, yaml.safe_dump(mesh), conformance.text(CORPUS, case["input"])]
    sources = [SourceText(f"{at}.yaml", text) for at, text in enumerate(texts)]
    documents, problems = Library().read(sources)
    found = translate(documents, Options(workload=("foo", "httpbin")), None, problems)
    assert not found.errors, [str(each) for each in found.errors]
    assert found.snapshot is not None
    return found.snapshot


def _golden(case: Mapping[str, Any]) -> list[Any]:
    return [yaml.safe_load(conformance.text(CORPUS, file)) for file in case["expect"]]


class Strings:
    """What a filter asks for, by what it asks."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, what: str, text: str) -> None:
        self.found.setdefault(what, []).append(text)

    def walk(self, node: Any) -> None:
        if isinstance(node, list):
            for each in node:
                self.walk(each)
        elif isinstance(node, dict):
            for kind, value in node.items():
                self._leaf(kind, value)

    def _leaf(self, kind: str, value: Any) -> None:
        match kind:
            case "header":
                for text in _examples(value.get("stringMatch", {"exact": "any"})):
                    self.add(value["name"].lower(), text)
            case "urlPath":
                for text in _examples(value["path"]):
                    self.add("path", text)
            case "uriTemplate":
                template = value["typedConfig"]["pathTemplate"]
                for text in ("a", "a/b", ""):
                    self.add("path", template.replace("**", text).replace("*", text))
            case "authenticated":
                for text in _examples(value["principalName"]):
                    self.add("identity", text)
            case "requestedServerName":
                for text in _examples(value):
                    self.add("sni", text)
            case "destinationPort":
                self.add("port", str(value))
            case "destinationIp" | "directRemoteIp" | "remoteIp":
                self.add(kind, value["addressPrefix"])
            case "metadata":
                pass
            case _:
                self.walk(value)


def _examples(match: Mapping[str, Any]) -> list[str]:
    """Texts that match, and one off by a character each."""
    ((kind, value),) = [pair for pair in match.items() if pair[0] != "ignoreCase"]
    if kind == "safeRegex":
        text = value["regex"].replace("(.+/|)", "").replace("(/.+)?", "").replace("\\", "")
        text = text.replace("[^/]*", "x").replace(".+", "y").replace(".*", "z")
        text = text if text.startswith("spiffe://") else f"spiffe://{text}"
    else:
        text = {"exact": value, "prefix": f"{value}more", "suffix": f"more{value}"}[kind]
    found = [text, text[:-1], f"{text}x", f"x{text}", text.upper()]
    return [each for each in found if each]


def _requests(case: Mapping[str, Any], golden: list[Any]) -> Iterator[Asked]:
    strings = Strings()
    strings.walk(golden)
    chance = random.Random(case["name"])
    http = case["protocol"] == "http"

    def one(what: str, *usual: str) -> str:
        pool = strings.found.get(what, [])
        return chance.choice([*pool, *pool, *usual]) if pool or usual else ""

    for _ in range(MANY):
        headers = {"X-header": one("x-header")} if chance.random() < 0.8 else {}
        headers = {name: value for name, value in headers.items() if value}
        headers[":authority"] = one(":authority", "shop")
        path = one("path", "/")
        yield Asked(
            http,
            one("identity", "", "spiffe://cluster.local/ns/foo/sa/bar"),
            one("directRemoteIp", "192.0.2.1"),
            one("remoteIp", "") if http else "",
            one("destinationIp", "192.0.2.2"),
            int(one("port", "1")),
            one("sni", ""),
            one(":method", "GET"),
            path if path.startswith("/") else f"/{path}",
            headers,
        )


def judge(policies: Sequence[Policy], domains: Sequence[str], asked: Asked) -> tuple[bool, str]:
    """What we decide, in the shape of `rbac.decision`."""
    record = Record(0.0, 0.0, Address(asked.source, 1), Address(asked.destination, asked.port))
    record.server_name = asked.sni
    record.secured = Secured(asked.identity) if asked.identity else None
    if not asked.http:
        tcp = judge_of_connections(policies, domains)
        denial = None if tcp is None else tcp(record)
    else:
        pairs = [
            (name.encode(), value.encode())
            for name, value in asked.headers.items()
            if name != ":authority"
        ]
        if asked.remote:
            pairs.append((b"x-forwarded-for", asked.remote.encode()))
        head = RequestHead(
            asked.method.encode(),
            asked.path.encode(),
            asked.headers[":authority"].encode(),
            HTTP11,
            pairs,
            index(pairs),
        )
        http = judge_of_requests(policies, domains)
        denial = None if http is None else http(record, head)
    if denial is None:
        return True, ""
    return False, denial.details.removeprefix("rbac_access_denied_matched_policy[")[:-1]


@pytest.mark.parametrize("case", CASES)
def test_the_same_decisions(case: dict[str, Any]) -> None:
    snapshot, golden = _snapshot(case), _golden(case)
    domains = (snapshot.trust_domain, *snapshot.trust_domain_aliases)
    seen = set()
    for asked in _requests(case, golden):
        expected = rbac.decision(golden, asked)
        assert judge(snapshot.authorization, domains, asked) == expected, asked
        seen.add(expected)
    assert len(seen) > 1 or case["name"] in ONE_ANSWER, seen


@pytest.mark.parametrize("case", CASES)
def test_the_builder_of_our_tests_is_istios(case: dict[str, Any]) -> None:
    """Else the comparison with Envoy compares with something else."""
    text = conformance.text(CORPUS, case["input"])
    policies = [each for each in yaml.safe_load_all(text) if each]
    if case.get("trustDomainAliases") or "request.auth" in text or "requestPrincipals" in text:
        pytest.skip("it knows neither tokens nor aliases")
    made, golden = rbac.filters(policies, case["protocol"] == "tcp"), _golden(case)
    for mine, theirs in zip(made, golden, strict=True):
        for part in ("rules", "shadowRules"):
            assert mine["typedConfig"].get(part) == theirs["typedConfig"].get(part)
