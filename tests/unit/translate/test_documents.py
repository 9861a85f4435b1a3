"""Texts cut into objects, and parsed once."""

from __future__ import annotations

import pytest

from meshproxy.translate.documents import Document, Library, Raw, SourceText, split
from meshproxy.translate.problems import Finding, Severity


def read(text: str) -> tuple[list[Document], list[str]]:
    documents, problems = Library().read([SourceText("a.yaml", text)])
    return documents, [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("a: 1\n", [(0, "a: 1\n")]),
        ("a: 1\n---\nb: 2\n", [(0, "a: 1\n"), (1, "\nb: 2\n")]),
        ("---\na: 1\n---\n---\n# nothing\n---\nb: 2", [(0, "\na: 1\n"), (5, "\nb: 2")]),
        ("--- # first\na: 1\n--- {b: 2}\n", [(0, " # first\na: 1\n"), (2, " {b: 2}\n")]),
        ("%YAML 1.2\n---\na: 1\n", [(1, "\na: 1\n")]),
        ("a: 1\r\n---\r\nb: 2\r\n", [(0, "a: 1\r\n"), (1, "\r\nb: 2\r\n")]),
        ("\ufeffa: 1\n", [(0, "a: 1\n")]),
        ("a: |\n  ---\n  x\n", [(0, "a: |\n  ---\n  x\n")]),
        ("a: 1\n----\n", [(0, "a: 1\n----\n")]),
    ],
)
def test_split(text: str, pieces: list[tuple[int, str]]) -> None:
    assert list(split(text)) == pieces


def test_objects_know_their_line_and_their_fields_lines() -> None:
    documents, problems = read("# top\nkind: A\n---\n\nkind: B\nspec:\n  x: 1\n")
    assert not problems
    assert [document.line for document in documents] == [2, 5]
    finding = Finding(Severity.ERROR, ("spec", "x"), "wrong", "mend it", "code")
    problem = documents[1].problem(finding, "B default/b")
    assert (problem.file, problem.line, problem.field) == ("a.yaml", 7, "spec.x")
    assert (problem.text, problem.mend, problem.subject, problem.code) == (
        "wrong",
        "mend it",
        "B default/b",
        "code",
    )


def test_lists_are_unpacked_however_deep() -> None:
    text = """\
kind: List
items:
- kind: A
- kind: BList
  items:
  - kind: B
    spec: {x: 1}
- {kind: C}
"""
    documents, problems = read(text)
    assert not problems
    assert [document.raw.data["kind"] for document in documents] == ["A", "B", "C"]
    assert documents[0].line == 3
    assert documents[1].problem(Finding(Severity.ERROR, ("spec", "x"), "")).line == 7


def test_json_lists_have_lines_too() -> None:
    documents, _ = read('{"kind": "List",\n "items": [\n  {"kind": "A",\n   "spec": 1}]}')
    assert documents[0].problem(Finding(Severity.ERROR, ("spec",), "")).line == 4


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: A\n---\na: [\n", "a.yaml:3: error: not YAML"),
        ("kind: A\n---\n- 1\n", "a.yaml:3: error: not a Kubernetes object"),
        ("apiVersion: v1\n", "a.yaml:1: error: the object has no kind"),
        ("kind: 7\n", "a.yaml:1: error: the object has no kind"),
        ("kind: List\nitems:\n- 1\n", "a.yaml:3: error: items[0]: not a Kubernetes object"),
        ("kind: List\nitems: {a: b}\n", "a.yaml:1: error: a List has items, which are a list"),
        ("kind: List\nitem: [1]\n", "a.yaml:1: error: a List has items, which are a list"),
        ("replicas: 3\n", "a.yaml:1: warning: neither kind nor apiVersion"),
        ("kind: A\nkind: B\n", "a.yaml:2: error: the key kind is given twice"),
    ],
)
def test_what_is_no_object(text: str, problem: str) -> None:
    _, problems = read(text)
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_one_broken_document_does_not_hide_the_others() -> None:
    documents, problems = read("kind: A\n---\na: [\n---\nkind: B\n")
    assert [document.raw.data["kind"] for document in documents] == ["A", "B"]
    assert len(problems) == 1


def test_what_has_not_changed_is_not_parsed_again() -> None:
    prepared: list[Raw] = []
    library = Library(prepared.append)
    first, _ = library.read([SourceText("a.yaml", "kind: A\n---\nkind: B\n")])
    second, _ = library.read(
        [SourceText("b.yaml", "# more\nkind: A\n---\nkind: C\n---\nkind: B\n")]
    )
    assert [raw.data["kind"] for raw in prepared] == ["A", "B", "A", "C"]
    by_kind = {document.raw.data["kind"]: document for document in second}
    assert by_kind["B"].raw is first[1].raw
    assert (by_kind["B"].file, by_kind["B"].line) == ("b.yaml", 6)


def test_a_file_that_has_not_changed_gives_the_same_documents() -> None:
    library = Library()
    same = SourceText("a.yaml", "kind: A\n---\nkind: B\n")
    first, _ = library.read([same, SourceText("b.yaml", "kind: C\n")])
    second, _ = library.read([SourceText("b.yaml", "kind: [\n"), same])
    assert [document.file for document in second] == ["a.yaml", "a.yaml"]
    assert all(new is old for new, old in zip(second, first, strict=False))
    third, problems = library.read([same, SourceText("c.yaml", "kind: A\n")])
    assert third[2].raw is first[0].raw, "the same text in another file is parsed once"
    assert not problems, "a file that is gone has none"


def test_what_is_gone_is_forgotten() -> None:
    prepared: list[Raw] = []
    library = Library(prepared.append)
    for text in ("kind: A\n", "kind: B\n", "kind: A\n"):
        library.read([SourceText("a.yaml", text)])
    assert len(prepared) == 3
