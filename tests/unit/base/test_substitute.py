"""Replacing by regular expression: RE2's own examples (`re2_test.cc`, "Replace") and Envoy's."""

from __future__ import annotations

import pytest

from meshproxy.base.substitute import compile_substitution


@pytest.mark.parametrize(
    ("pattern", "substitution", "text", "expected"),
    [
        (r"(qu|[b-df-hj-np-tv-z]*)([a-z]+)", r"\2\1ay", "the quick", "ethay ickquay"),
        (r"^abc", "xyz", "abcabc", "xyzabc"),
        (r"$", "(END)", "abc", "abc(END)"),
        (r"b*", "bb", "a", "bbabb"),
        (r"b*", "bb", "bbbb", "bb"),
        (r"b+", "bb", "bbbbb", "bb"),
        (r"a.*a", r"(\0)", "aaaaa", "(aaaaa)"),
        ("(?i)z*", "<>", "abZZc", "<>a<>b<>c<>"),
        ("/", r"\\", "a/b", "a\\b"),
        ("(a)|(b)", r"[\2]", "ab", "[][b]"),
        ("^/aaa", "/bbb", "/aaa/aaa", "/bbb/aaa"),
        ("x", "", "axb", "ab"),
        ("x", "y", "", ""),
    ],
)
def test_substitutions(pattern: str, substitution: str, text: str, expected: str) -> None:
    assert compile_substitution(pattern, substitution)(text.encode()) == expected.encode()


@pytest.mark.parametrize(
    ("pattern", "substitution", "words"),
    [
        ("(a)", r"\2", "no group 2"),
        ("a", r"\1", "has 0"),
        ("a", "\\", "backslash"),
        ("a", r"\n", "backslash"),
        ("(", "b", "missing"),
    ],
)
def test_what_is_none(pattern: str, substitution: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compile_substitution(pattern, substitution)
