"""Reading a mapping field by field: types, ranges, and what nobody asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from meshproxy.translate.fields import Fields
from meshproxy.translate.problems import UNKNOWN_FIELD, UNSUPPORTED, Report, Severity, show_path


def fields(**data: Any) -> Fields:
    return Fields(data, ("spec",), Report())


def said(read: Fields) -> list[str]:
    return [f"{show_path(each.path)}: {each.text}" for each in read.report.findings]


Read = Callable[[Fields], Any]


@pytest.mark.parametrize(
    ("value", "read", "expected"),
    [
        ("a", lambda f: f.text("x"), "a"),
        (None, lambda f: f.text("x", "d"), "d"),
        (7, lambda f: f.integer("x"), 7),
        (None, lambda f: f.integer("x", 3), 3),
        (80, lambda f: f.port("x"), 80),
        (1, lambda f: f.number("x"), 1.0),
        (1.5, lambda f: f.number("x"), 1.5),
        (True, lambda f: f.flag("x"), True),
        (None, lambda f: f.flag("x", True), True),
        ("1m", lambda f: f.duration("x"), 60.0),
        (None, lambda f: f.duration("x"), None),
        ("A", lambda f: f.choice("x", ("A", "B")), "A"),
        (None, lambda f: f.choice("x", ("A", "B"), "B"), "B"),
        ("", lambda f: f.choice("x", ("", "A"), "B"), ""),
        (0, lambda f: f.any_port("x"), 0),
        (["a"], lambda f: f.texts("x"), ("a",)),
        ({"a": "b", "c": None}, lambda f: f.words("x"), {"a": "b", "c": ""}),
        (None, lambda f: f.words("x"), {}),
        ([{"a": "b"}], lambda f: [each.text("a") for each in f.mappings("x")], ["b"]),
        ({"a": "b"}, lambda f: f.mapping("x").text("a"), "b"),
        (None, lambda f: bool(f.mapping("x")), False),
        ({"a": 1}, lambda f: list(f.entries("x")), [("a", 1, ("spec", "x", "a"))]),
    ],
)
def test_good(value: Any, read: Read, expected: Any) -> None:
    given = fields(x=value)
    assert read(given) == expected
    assert not said(given)


@pytest.mark.parametrize(
    ("value", "read", "expected", "complaint"),
    [
        (7, lambda f: f.text("x"), "", "spec.x: must be text, is the number 7"),
        (True, lambda f: f.text("x"), "", "spec.x: must be text, is the truth value true"),
        ([], lambda f: f.text("x"), "", "spec.x: must be text, is a list"),
        ("7", lambda f: f.integer("x"), 0, "spec.x: must be a whole number, is the text '7'"),
        (True, lambda f: f.integer("x"), 0, "spec.x: must be a whole number"),
        (1.5, lambda f: f.integer("x"), 0, "spec.x: must be a whole number, is the number 1.5"),
        (-1, lambda f: f.integer("x"), 0, "spec.x: -1 is not in 0-"),
        (0, lambda f: f.port("x"), 0, "spec.x: 0 is not in 1-65535"),
        (70000, lambda f: f.port("x"), 0, "spec.x: 70000 is not in 1-65535"),
        (float("nan"), lambda f: f.number("x"), 0.0, "spec.x: must be a number"),
        ("yes", lambda f: f.flag("x"), False, "spec.x: must be true or false"),
        ("1", lambda f: f.duration("x"), None, "spec.x: '1' is not a duration"),
        (1, lambda f: f.duration("x"), None, "spec.x: must be a duration, is the number 1"),
        ("1us", lambda f: f.duration("x", None, 0.001), None, "spec.x: 1us is shorter than 0.001s"),
        ("1.0005s", lambda f: f.duration("x", None, 0.001), None, "spec.x: 1.0005s is no whole"),
        ("C", lambda f: f.choice("x", ("A", "B"), "A"), "A", "spec.x: 'C' is not known"),
        ("", lambda f: f.choice("x", ("A", "B"), "A"), "A", "spec.x: '' is not known"),
        (7, lambda f: f.choice("x", ("A", "B"), "A"), "A", "spec.x: must be text"),
        (False, lambda f: f.any_port("x"), 0, "spec.x: must be a whole number"),
        ("a", lambda f: f.texts("x"), (), "spec.x: must be a list"),
        (["a", 1], lambda f: f.texts("x"), ("a",), "spec.x[1]: must be text, is the number 1"),
        ([], lambda f: f.words("x"), {}, "spec.x: must be a mapping, is a list"),
        ({"a": 1}, lambda f: f.words("x"), {}, "spec.x.a: must be text, is the number 1"),
        ([None], lambda f: list(f.mappings("x")), [], "spec.x[0]: the element is empty"),
        (["a"], lambda f: list(f.mappings("x")), [], "spec.x[0]: must be a mapping, is the text"),
        ("a", lambda f: f.mapping("x").data, {}, "spec.x: must be a mapping"),
        (None, lambda f: f.required("x"), "", "spec.x: is required"),
        ("", lambda f: f.required("x"), "", "spec.x: is required"),
    ],
)
def test_bad(value: Any, read: Read, expected: Any, complaint: str) -> None:
    given = fields(x=value)
    assert read(given) == expected
    (only,) = said(given)
    assert only.startswith(complaint)
    assert given.report.failed


def test_a_required_text_of_the_wrong_type_is_one_complaint() -> None:
    given = fields(x=[])
    given.required("x")
    assert said(given) == ["spec.x: must be text, is a list"]


def test_one_of() -> None:
    assert fields(a=1).one_of(("a", "b"), "it") == "a"
    assert fields().one_of(("a", "b"), "it") == ""
    both = fields(a=1, b=2)
    assert both.one_of(("a", "b"), "it") == "a"
    assert said(both) == ["spec.b: it takes only one of a, b"]


def test_fields_for_later_are_said_only_if_they_say_something() -> None:
    given = fields(retries={"attempts": 1}, fault={}, mirror=None, flag=False)
    given.later("retries", "fault", "mirror", "flag", "absent")
    (finding,) = given.report.findings
    assert (finding.path, finding.code, finding.severity) == (
        ("spec", "retries"),
        UNSUPPORTED,
        Severity.WARNING,
    )
    given.close()
    assert len(given.report.findings) == 1


def test_unknown_fields_are_reported_with_what_was_meant() -> None:
    given = fields(hosts=["a"], htpp=[], other=1)
    given.texts("hosts")
    given.items("http")
    given.skip("status")
    given.close()
    found = {finding.path[-1]: finding for finding in given.report.findings}
    assert set(found) == {"htpp", "other"}
    assert found["htpp"].mend == "did you mean http?"
    assert found["other"].mend == "did you mean hosts?" or "known here" in found["other"].mend
    assert {finding.code for finding in found.values()} == {UNKNOWN_FIELD}


def test_read_hands_over_what_is_there_and_closes_it() -> None:
    given = fields(inner={"a": "x", "b": 1})
    seen = []
    given.read("inner", lambda inner: seen.append(inner.text("a")))
    given.read("missing", lambda inner: seen.append("never"))
    assert seen == ["x"]
    assert said(given) == ["spec.inner.b: this field is not known and has no effect"]
