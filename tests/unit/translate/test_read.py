"""Finding the reader of a kind, and what is said of objects that have none."""

from __future__ import annotations

import pytest

from meshproxy.translate import Library, SourceText
from meshproxy.translate.problems import Severity
from meshproxy.translate.read import KINDS, read_object
from tests.unit.translate.support import typed


def header(version: str, kind: str) -> str:
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{}}\n"


@pytest.mark.parametrize("group_kind", sorted(KINDS))
def test_every_version_of_a_kind_is_taken(group_kind: tuple[str, str]) -> None:
    group, kind = group_kind
    for version in KINDS[group_kind].versions:
        name = f"{group}/{version}".lstrip("/")
        _, problems = typed(header(name, kind))
        assert not [each for each in problems if each.field == "apiVersion"]


@pytest.mark.parametrize(
    ("version", "kind", "mend"),
    [
        ("networking.istio.io/v2", "VirtualService", "did you mean networking.istio.io/v1?"),
        ("v2", "Service", "known here: v1"),
        ("v1", "VirtualService", "networking.istio.io/v1"),
        ("''", "DestinationRule", "networking.istio.io/v1"),
        ("''", "Service", "apiVersion: v1"),
    ],
)
def test_versions_that_do_not_exist(version: str, kind: str, mend: str) -> None:
    _, problems = typed(header(version, kind))
    (problem,) = [each for each in problems if each.field == "apiVersion"]
    assert problem.severity is Severity.ERROR
    assert problem.mend == mend
    assert problem.line == 1


@pytest.mark.parametrize(
    ("version", "kind", "severity"),
    [
        ("networking.istio.io/v1alpha3", "EnvoyFilter", Severity.WARNING),
        ("extensions.istio.io/v1alpha1", "WasmPlugin", Severity.WARNING),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", Severity.WARNING),
        ("gateway.networking.k8s.io/v1", "Gateway", Severity.WARNING),
        ("networking.istio.io/v1", "Gateway", Severity.WARNING),
        ("networking.istio.io/v1", "WorkloadGroup", Severity.WARNING),
        ("networking.istio.io/v1beta1", "ProxyConfig", Severity.WARNING),
        ("meshproxy.dev/v1alpha1", "Setings", Severity.WARNING),
        ("apps/v1", "Deployment", Severity.NOTE),
        ("v1", "PersistentVolume", Severity.NOTE),
        ("serving.knative.dev/v1", "Service", Severity.NOTE),
    ],
)
def test_kinds_that_are_not_read(version: str, kind: str, severity: Severity) -> None:
    value, problems = typed(header(version, kind))
    assert value is None
    assert [each.severity for each in problems] == [severity]
    if kind == "Setings":
        assert problems[0].mend == "did you mean Settings?"


def test_a_kind_that_can_only_be_meant_to_close_is_an_error() -> None:
    """Passed over, an AuthorisationPolicy would let everybody in."""
    _, problems = typed(header("security.istio.io/v1", "AuthorisationPolicy"))
    (problem,) = problems
    assert problem.severity is Severity.ERROR
    assert problem.mend == "did you mean AuthorizationPolicy?"


@pytest.mark.parametrize(
    ("version", "kind", "severity"),
    [
        ("security.isto.io/v1", "AuthorizationPolicy", Severity.ERROR),
        ("securty.istio.io/v1", "PeerAuthentication", Severity.ERROR),
        ("networking.istio.io/v1", "AuthorizationPolicy", Severity.ERROR),
        ("networking.isto.io/v1", "VirtualService", Severity.WARNING),
        ("security.istio.io/v1", "VirtualService", Severity.ERROR),
        ("policy.linkerd.io/v1alpha1", "AuthorizationPolicy", Severity.NOTE),
        ("traffic.example.com/v1", "VirtualService", Severity.NOTE),
    ],
)
def test_a_misspelt_group(version: str, kind: str, severity: Severity) -> None:
    """It is said, and what was meant to close is an error; other projects have their own kinds."""
    _, problems = typed(header(version, kind))
    assert [each.severity for each in problems] == [severity], [str(each) for each in problems]


def test_a_name_is_required() -> None:
    _, problems = typed("apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80}]}\n")
    assert [(each.field, each.text) for each in problems] == [("metadata.name", "is required")]


def test_fields_beside_spec_are_checked_in_istio_kinds() -> None:
    text = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: x}\n"
        "spec: {host: a}\nspecs: {}\nstatus: {}\n"
    )
    _, problems = typed(text)
    assert [(each.field, each.line) for each in problems] == [("specs", 5)]


def test_an_object_is_read_once_and_its_values_are_let_go() -> None:
    documents, _ = Library().read([SourceText("a", header("v1", "Service"))])
    raw = documents[0].raw
    first = read_object(raw)
    assert raw.data == {}
    assert read_object(raw) is first
