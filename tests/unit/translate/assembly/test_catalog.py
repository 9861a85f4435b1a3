"""Objects by kind, each once."""

from __future__ import annotations

from meshproxy.translate.assembly.catalog import Catalog
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.documents import Library, SourceText
from meshproxy.translate.kinds.service import Service
from meshproxy.translate.problems import Severity


def catalog(*texts: str) -> Catalog:
    sources = [SourceText(f"{at}.yaml", text) for at, text in enumerate(texts)]
    return Catalog(Library().read(sources)[0], Memo())


def service(name: str, port: int, created: str = "null") -> str:
    return (
        "apiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}, creationTimestamp: {created}}}\n"
        f"spec: {{ports: [{{port: {port}}}]}}\n"
    )


def test_the_later_of_two_takes_the_place_of_the_earlier() -> None:
    found = catalog(service("a", 80), service("b", 1), service("a", 81))
    entry = found.get(Service, "default", "a")
    assert entry is not None
    assert entry.value.ports[0].number == 81
    assert (entry.origin.file, entry.origin.line) == ("2.yaml", 1)
    (problem,) = found.problems
    assert problem.severity is Severity.WARNING
    assert (problem.file, problem.line, problem.field) == ("2.yaml", 3, "metadata.name")
    assert "0.yaml:1" in problem.text


def test_order() -> None:
    found = catalog(service("c", 80, "2024-01-01T00:00:00Z"), service("b", 80), service("a", 80))
    assert [entry.value.meta.name for entry in found.all(Service)] == ["a", "b", "c"]
    assert [entry.value.meta.name for entry in found.in_order(Service)] == ["c", "b", "a"]


def test_what_is_not_read_is_remembered_if_it_belongs_to_a_mesh() -> None:
    found = catalog(
        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n",
    )
    assert [(origin.kind, origin.name) for origin in found.unread] == [("EnvoyFilter", "e")]
    assert [problem.severity for problem in found.problems] == [Severity.WARNING, Severity.NOTE]


def test_objects_with_errors_are_left_out() -> None:
    found = catalog(service("a", 0))
    assert not found.all(Service)
    assert found.problems
