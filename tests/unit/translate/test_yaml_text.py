"""YAML to values and lines; what is refused, and where."""

from __future__ import annotations

import pytest

from meshproxy.translate.problems import Path
from meshproxy.translate.yaml_text import MAX_DEPTH, BrokenText, forget_lines, line_of, load


def value(text: str) -> object:
    (loaded,) = load(text)
    return loaded.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1", {"a": 1}),
        ("a: '1'", {"a": "1"}),
        ('a: "yes"', {"a": "yes"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("8080: a\ntrue: b", {"8080": "a", "true": "b"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, d: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1, "d": 1}, "c": {"b": 1, "d": 2}}),
        ("c: {<<: [{a: 1}, {a: 2, b: 2}]}", {"c": {"a": 1, "b": 2}}),
        ("a: !!str 1", {"a": "1"}),
        ("a: !!int '7'", {"a": 7}),
        ("a: !!null x", {"a": None}),
        ("a: !!binary aGk=", {"a": "aGk="}),
        ("- 1\n- [2, {a: 3}]", [1, [2, {"a": 3}]]),
        ('{"a": "\\u00e9",\n\t"b": [1, 2.5, null]}', {"a": "é", "b": [1, 2.5, None]}),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_values(text: str, expected: object) -> None:
    assert value(text) == expected


def test_empty_documents_are_left_out() -> None:
    assert load("") == []
    assert load("# only a comment\n") == []
    assert [loaded.value for loaded in load("a: 1\n...\n---\nb: 2")] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1,\n", 1, "not YAML"),
        ("a: 1\na: 2\n", 1, "the key a is given twice"),
        ('{"a": 1,\n "a": 2}', 1, "the key a is given twice"),
        ("a:\n\tb: 1\n", 1, "not YAML"),
        ("a: {{ .Values.x }}\n", 0, "must be text"),
        ("a: 1\n b: 2\n", 1, "not YAML"),
        ("a: &x [*x]\n", 0, "inside itself"),
        ("a: *nobody\n", 0, "not YAML"),
        ("a: !python/object:os.system x\n", 0, "has no meaning"),
        ("? [a]\n: b\n", 0, "a key must be text"),
        ("a: 1\nb: \x01\n", 1, "not YAML"),
        ("a: {<<: 1}\n", 0, "takes a mapping"),
        ("a: " + "[" * 200 + "]" * 200, 0, "nested over"),
        ("[" * 100_000, 0, "nested over"),
        ("- " * 5_000, 0, "nested over"),
        ("a: '" + "x" * 10, 0, "not YAML"),
    ],
)
def test_broken_text(text: str, line: int, words: str) -> None:
    with pytest.raises(BrokenText, match=words) as caught:
        load(text)
    assert caught.value.line == line


def test_the_usual_causes_are_named() -> None:
    with pytest.raises(BrokenText) as tab:
        load("a:\n\tb: 1\n")
    assert "spaces" in tab.value.mend
    with pytest.raises(BrokenText) as template:
        load("a: 1\nb: {{ x }} c\n")
    assert "template" in template.value.mend


def test_copies_of_copies_are_not_written_out() -> None:
    """Nine levels of nine references each would be 387 million values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]" for at in range(1, 10)]
    assert isinstance(value("\n".join(lines)), dict)


def test_depth_is_bounded_by_a_named_number() -> None:
    deep = MAX_DEPTH - 1
    assert value("[" * deep + "]" * deep)


TEXT = """\
# a comment
kind: ConfigMap
spec:
  hosts:
  - a
  - b: 1
    c: 2
  flow: {x: 1, y: [1,
    2]}
data:
  mesh: |
    first: 1
    second:
      third: 3
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("kind",), 1),
        (("spec", "hosts"), 3),
        (("spec", "hosts", 0), 4),
        (("spec", "hosts", 1, "c"), 6),
        (("spec", "flow", "y", 1), 8),
        (("spec", "missing", "more"), 2),
        (("spec", "hosts", 9), 3),
        (("data", "mesh"), 10),
        (("data", "mesh", "second", "third"), 13),
    ],
)
def test_lines(path: Path, line: int) -> None:
    assert line_of(TEXT, 0, path) == line


def test_lines_of_later_documents_and_of_none() -> None:
    text = "a: 1\n...\n---\nb: 2\n"
    assert line_of(text, 1, ("b",)) == 3
    assert line_of(text, 5, ("b",)) == 0
    assert line_of("{broken", 0, ("b",)) == 0
    forget_lines()


def test_the_lines_of_a_lists_items() -> None:
    (loaded,) = load("kind: List\nitems:\n- a: 1\n- b: 2\n")
    assert loaded.items == (2, 3)
