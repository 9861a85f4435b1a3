"""Routes behind routes that take everything."""

from __future__ import annotations

import pytest

from tests.unit.translate.support import said

TO_B = "route: [{destination: {host: b}}]"


def http(*matches: str) -> list[tuple[str, str]]:
    lines = "".join(
        f"  - {{{f'match: [{match}], ' if match else ''}{TO_B}}}\n" for match in matches
    )
    return said(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        f"spec:\n  hosts: [a]\n  http:\n{lines}"
    )


@pytest.mark.parametrize(
    "matches",
    [
        [""],
        ["{uri: {prefix: /b}}", "{uri: {prefix: /a}}", ""],
        ["{uri: {prefix: /b}}", "{uri: {exact: /b/c}}"],
        ["{uri: {prefix: /a}, headers: {x: {exact: y}}}", "{uri: {prefix: /a/b}}"],
        ["{uri: {prefix: /a}, port: 80}", "{uri: {prefix: /a/b}, port: 81}"],
        ["{uri: {prefix: /a}, method: {exact: POST}}", "{uri: {prefix: /a/b}}"],
        ["{uri: {prefix: /}}, {uri: {exact: /}, method: {exact: GET}}"],
        ["{uri: {prefix: /a}, sourceLabels: {x: y}}", "{uri: {prefix: /a}}"],
    ],
)
def test_fine(matches: list[str]) -> None:
    assert http(*matches) == []


@pytest.mark.parametrize(
    ("matches", "field"),
    [
        (["", ""], "spec.http[1]"),
        (["", "{uri: {exact: /a}}"], "spec.http[1]"),
        (["{uri: {prefix: /a}}", "{uri: {prefix: /a}}"], "spec.http[1].match[0]"),
        (["{uri: {prefix: /a}}, {uri: {prefix: /a}}"], "spec.http[0].match[1]"),
        (["{name: x, uri: {exact: /a}}", "{name: y, uri: {exact: /a}}"], "spec.http[1].match[0]"),
        (["{uri: {prefix: /a}}", "{uri: {prefix: /a/b}}"], "spec.http[1].match[0]"),
        (
            ["{uri: {prefix: /a}}", "{uri: {prefix: /a/b}, method: {exact: GET}}"],
            "spec.http[1].match[0]",
        ),
        (
            [
                "{uri: {prefix: /a}, headers: {x: {exact: y}}}",
                "{uri: {prefix: /a/b}, headers: {x: {exact: y}}}",
            ],
            "spec.http[1].match[0]",
        ),
    ],
)
def test_never_reached(matches: list[str], field: str) -> None:
    assert http(*matches) == [("warning", field)]


def test_tcp_routes_too() -> None:
    text = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        f"spec:\n  hosts: [a]\n  tcp: [{{{TO_B}}}, {{match: [{{port: 1}}], {TO_B}}}, {{{TO_B}}}]\n"
    )
    assert said(text) == [("warning", "spec.tcp[1]"), ("warning", "spec.tcp[2]")]
    apart = text.replace(f"{{{TO_B}}}, ", f"{{match: [{{port: 1, sourceNamespace: x}}], {TO_B}}}, ")
    assert said(apart) == []
