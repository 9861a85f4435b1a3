"""Telemetry: access logging, and what is checked beside it."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.telemetry import LogRule, Telemetry
from tests.unit.translate.support import Severity, check_fault, typed


def text(spec: str) -> str:
    head = "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: a}\n"
    return f"{head}spec:\n  {spec}\n"


def test_access_logging() -> None:
    value, problems = typed(
        text(
            "{selector: {matchLabels: {a: b}}, accessLogging: [{}, "
            "{providers: [{name: envoy}], match: {mode: CLIENT}}, "
            "{disabled: true, match: {mode: SERVER}}]}"
        )
    )
    assert not problems
    assert isinstance(value, Telemetry)
    assert value.selector == {"a": "b"}
    assert not value.targeted
    assert value.logging == (
        LogRule(),
        LogRule(("envoy",), server=False),
        LogRule(disabled=True, client=False),
    )


def test_targets_are_for_others() -> None:
    target = "{targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: g}}"
    assert typed(text(target))[0].targeted


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("accessLogging: [{providers: [{}]}]", "accessLogging[0].providers[0].name"),
        ("accessLogging: [{match: {mode: BOTH}}]", "accessLogging[0].match.mode"),
        ("tracing: [{randomSamplingPercentage: 101}]", "tracing[0].randomSamplingPercentage"),
        ("tracing: [{customTags: {a: null}}]", "tracing[0].customTags.a"),
        ("tracing: [{customTags: {a: {literal: {}}}}]", "tracing[0].customTags.a.literal.value"),
        ("tracing: [{customTags: {a: {literal: {value: x}, header: {name: y}}}}]",
         "tracing[0].customTags.a.header"),
        ("metrics: [{overrides: [{tagOverrides: {a: {}}}]}]",
         "metrics[0].overrides[0].tagOverrides.a.value"),
        ("metrics: [{overrides: [{tagOverrides: {a: null}}]}]",
         "metrics[0].overrides[0].tagOverrides.a"),
        ("metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE, value: x}}}]}]",
         "metrics[0].overrides[0].tagOverrides.a.value"),
        ("metrics: [{overrides: [{match: {customMetric: ''}}]}]",
         "metrics[0].overrides[0].match.customMetric"),
        ("metrics: [{reportingInterval: soon}]", "metrics[0].reportingInterval"),
        ("{selector: {matchLabels: {a: b}}, targetRef: {kind: Service, name: s}}", "targetRef"),
        ("targetRefs: [{kind: Service}]", "targetRefs[0].name"),
        ("targetRefs: [{kind: Pod, name: p}]", "targetRefs[0].kind"),
        ("targetRef: {kind: Service, name: s, namespace: n}", "targetRef.namespace"),
    ],
)  # fmt: skip
def test_faults(spec: str, field: str) -> None:
    check_fault(text(spec), f"spec.{field}")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("accessLogging: [{filter: {expression: a}}]", "accessLogging[0].filter"),
        ("tracing: [{}, {}]", "tracing"),
        ("tracing: [{providers: [{name: a}, {name: b}]}]", "tracing[0].providers"),
        ("metrics: [{providers: [{name: a}]}]", "metrics"),
        ("selector: {}", "selector"),
    ],
)
def test_warnings(spec: str, field: str) -> None:
    check_fault(text(spec), f"spec.{field}", severity=Severity.WARNING)
