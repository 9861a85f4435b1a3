"""Which objects Istio takes and which it refuses, and what it warns about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from meshproxy.translate import Library, Problem, Severity, SourceText
from meshproxy.translate.problems import UNSUPPORTED
from meshproxy.translate.read import KINDS, read_object
from tests.support import conformance

CORPUS = "validation"

# Kinds that this build does not read yet; the list shrinks.
OUT = {
    "EnvoyFilter",
    "Gateway",
    "ProxyConfig",
    "RequestAuthentication",  # read only to refuse everything it is for
    "WasmPlugin",
    "WorkloadGroup",
}
# These cases say "invalid" of a resource that another case calls valid: what made them invalid has
# no form in YAML (durations with odd nanoseconds, a message of another type,
# a waypoint).
LOST_IN_YAML = {
    "CORSPolicy/bad-max-age",
    "HTTPRetry/invalid-timeout",
    "ConnectionPool/invalid-connection-pool-bad-connect-timeout",
    "ConnectionPool/invalid-connection-pool-bad-idle-timeout",
    "OutlierDetection/invalid-outlier-detection-bad-interval",
    "ServiceEntries/discovery-type-dynamic-dns-mesh-internal-with-waypoint-inval",
    "Telemetry/invalid-message",
}


def _cases() -> Iterator[Any]:
    root = conformance.folder(CORPUS)
    if root is None:
        reason = f"no conformance data: {conformance.VARIABLE} names no folder with {CORPUS}"
        yield pytest.param(None, id="no-validation", marks=pytest.mark.skip(reason))
        return
    for file in sorted((root / "cases").glob("*.yaml")):
        for case in yaml.safe_load(file.read_text(encoding="utf-8")):
            marks = []
            if case["kind"] in OUT:
                marks = [pytest.mark.skip(f"{case['kind']} is not read by this build")]
            elif case["id"] in LOST_IN_YAML:
                marks = [pytest.mark.skip("what is invalid about it has no form in YAML")]
            yield pytest.param(case, id=f"{case['kind']}:{case['id']}", marks=marks)


def _documents() -> Iterator[Any]:
    root = conformance.folder(CORPUS)
    for file in sorted((root / "crds").glob("*.yaml")) if root else ():
        listed = yaml.safe_load_all(file.read_text(encoding="utf-8"))
        for at, document in enumerate(document for document in listed if document):
            marks = []
            if document["kind"] in OUT:
                marks = [pytest.mark.skip(f"{document['kind']} is not read by this build")]
            yield pytest.param(document, id=f"{file.stem}-{at}", marks=marks)


def _read(document: dict[str, Any]) -> list[Problem]:
    text = yaml.safe_dump(document)
    documents, problems = Library().read([SourceText("case.yaml", text)])
    for each in documents:
        reading = read_object(each.raw)
        assert not reading.skipped
        problems += [each.problem(finding) for finding in reading.findings]
    return problems


def _check(problems: list[Problem], valid: bool) -> None:
    errors = [str(each) for each in problems if each.severity is Severity.ERROR]
    assert bool(errors) != valid, errors
    for each in problems:
        assert each.line > 0
        assert each.text


@pytest.mark.parametrize("case", list(_cases()))
def test_cases(case: dict[str, Any]) -> None:
    metadata = {"name": "case", **case.get("metadata", {})}
    document = {key: case[key] for key in ("apiVersion", "kind", "spec")}
    problems = _read({**document, "metadata": metadata})
    _check(problems, case["valid"])
    if case["valid"] and "warning" in case:
        warnings = [
            str(each)
            for each in problems
            if each.severity is Severity.WARNING and each.code != UNSUPPORTED
        ]
        assert bool(warnings) == case["warning"], warnings
    for name in ("error_contains", "warning_contains"):
        if name in case:
            assert any(case[name] in str(each) for each in problems), problems


@pytest.mark.parametrize("document", list(_documents()))
def test_documents(document: dict[str, Any]) -> None:
    given = dict(document)
    expected = given.pop("_err", None)
    _check(_read(given), expected is None)


def test_kinds_that_are_out_are_really_out() -> None:
    """So that nobody forgets to strike a kind from the list."""
    read = {kind for _, kind in KINDS} - {"RequestAuthentication"}
    assert not read & OUT
