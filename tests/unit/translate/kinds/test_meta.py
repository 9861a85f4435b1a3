"""Metadata, ages and selectors."""

from __future__ import annotations

import pytest

from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.meta import Meta, read_meta, selects
from meshproxy.translate.problems import Report


def meta(**metadata: object) -> tuple[Meta, Report]:
    report = Report()
    return read_meta("Service", Fields({"metadata": metadata}, (), report)), report


def test_defaults() -> None:
    found, report = meta(name="a")
    assert (found.namespace, found.name, found.created) == ("default", "a", "")
    assert str(found) == "Service default/a"
    assert not report.findings


@pytest.mark.parametrize(
    ("text", "created"),
    [
        ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00.000000"),
        ("2024-01-31T12:00:00.5z", "2024-01-31T12:00:00.500000"),
        ("2024-01-31T12:00:00+02:00", "2024-01-31T10:00:00.000000"),
    ],
)
def test_times(text: str, created: str) -> None:
    assert meta(name="a", creationTimestamp=text)[0].created == created


@pytest.mark.parametrize(
    "text", ["yesterday", "2024-01-31", "2024-13-31T12:00:00Z", "0001-01-01T00:00:00+23:00"]
)
def test_times_that_are_none(text: str) -> None:
    found, report = meta(name="a", creationTimestamp=text)
    assert found.created == ""
    assert len(report.findings) == 1


def test_the_oldest_comes_first_then_name_then_namespace() -> None:
    known = [
        Meta("A", "n2", "a"),
        Meta("A", "n1", "b"),
        Meta("A", "n1", "a", created="2024"),
        Meta("A", "n1", "a"),
        Meta("A", "n1", "z", created="2023"),
    ]
    order = sorted(known, key=lambda each: each.age)
    assert [(each.created, each.name, each.namespace) for each in order] == [
        ("", "a", "n1"),
        ("", "a", "n2"),
        ("", "b", "n1"),
        ("2023", "z", "n1"),
        ("2024", "a", "n1"),
    ]


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({}, {}, True),
        ({}, {"a": "b"}, True),
        ({"a": "b"}, {"a": "b", "c": "d"}, True),
        ({"a": "b"}, {"a": "c"}, False),
        ({"a": "b"}, {}, False),
    ],
)
def test_selects(selector: dict[str, str], labels: dict[str, str], expected: bool) -> None:
    assert selects(selector, labels) is expected
