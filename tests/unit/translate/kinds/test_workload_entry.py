"""WorkloadEntries."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.workload_entry import WorkloadEntry
from tests.unit.translate.support import Severity, check_fault, typed


def text(spec: str) -> str:
    return (
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
        f"metadata: {{name: a, labels: {{x: y}}}}\nspec:\n  {spec}\n"
    )


def entry(spec: str) -> WorkloadEntry:
    value, problems = typed(text(spec))
    assert not problems, problems
    assert isinstance(value, WorkloadEntry)
    return value


def test_all_of_it() -> None:
    found = entry("{address: 10.0.0.1, ports: {http: 80}, labels: {app: a}, weight: 3}")
    assert (found.address, found.ports, found.weight) == ("10.0.0.1", {"http": 80}, 3)
    assert found.labels == {"x": "y", "app": "a"}
    assert found.service_account == ""


def test_other_addresses() -> None:
    assert entry("address: a.example.com").address == "a.example.com"
    assert entry("address: 'FD00::0001'").address == "fd00::1"
    value, problems = typed(text("address: unix:///run/a.sock"))
    assert value.address == "unix:///run/a.sock"
    assert [each.severity for each in problems] == [Severity.WARNING]


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ("ports: {http: 80}", "spec.address", ["is required"]),
        ("address: a_b", "spec.address", ["not a host name", "IP address"]),
        ("address: unix://a", "spec.address", ["absolute"]),
        ("address: unix:///a/", "spec.address", ["absolute"]),
        ("{address: unix:///a, ports: {http: 80}}", "spec.ports", ["no ports"]),
        ("{address: 10.0.0.1, ports: {http: 0}}", "spec.ports.http", ["1-65535"]),
        ("{address: 10.0.0.1, ports: {a_b: 80}}", "spec.ports.a_b", ["port's name"]),
        ("{address: 10.0.0.1, labels: {app: a b}}", "spec.labels.app", ["label's value"]),
        ("{address: 10.0.0.1, weight: heavy}", "spec.weight", ["whole number"]),
    ],
)
def test_faults(spec: str, field: str, words: list[str]) -> None:
    check_fault(text(spec), field, *words)


def test_a_spec_is_required() -> None:
    document = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a}\n"
    _, problems = typed(document)
    assert ("spec", "is required") in [(each.field, each.text) for each in problems]


def test_what_is_not_done_is_said() -> None:
    check_fault(text("{address: 10.0.0.1, network: n}"), "spec.network", "not implemented",
                severity=Severity.WARNING)  # fmt: skip
    check_fault(text(f"{{address: 10.0.0.1, serviceAccount: {'a' * 254}}}"), "spec.serviceAccount",
                "longer than 253")  # fmt: skip
    check_fault(text("{network: n}"), "spec.address", "left out", severity=Severity.WARNING)
