"""Several Sidecars for one workload: one counts, and the others are told so."""

from __future__ import annotations

import pytest

from tests.unit.translate.support import problems_of


def sidecar(name: str, namespace: str = "default", selector: str = "") -> str:
    chosen = f"workloadSelector: {{labels: {{{selector}}}}}, " if selector else ""
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{{chosen}egress: [{{hosts: ['./*']}}]}}\n"
    )


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([sidecar("a"), sidecar("b")], [("metadata.name", "IST0111")]),
        (
            [sidecar("a", selector="app: me"), sidecar("b", selector="app: me")],
            [("metadata.name", "IST0110")],
        ),
        ([sidecar("a", selector="app: me"), sidecar("b")], []),
        ([sidecar("a", selector="app: me"), sidecar("b", selector="app: you")], []),
        ([sidecar("a"), sidecar("b", "other"), sidecar("c", "istio-system")], []),
        (
            [sidecar("a", "istio-system"), sidecar("b", "istio-system")],
            [("metadata.name", "IST0111")],
        ),
        ([sidecar("a", "istio-system", "app: me")], [("spec.workloadSelector", "")]),
        ([sidecar("a", "istio-system", "app: you")], []),
    ],
)
def test_which_are_set_aside(texts: list[str], said: list[tuple[str, str]]) -> None:
    assert [(each.field, each.code) for each in problems_of(*texts)] == said
