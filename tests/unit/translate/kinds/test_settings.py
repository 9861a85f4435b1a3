"""Settings: every knob of the model, by its name in camel case."""

from __future__ import annotations

from dataclasses import fields

import pytest

from meshproxy.model.settings import DEFAULTS, ProxyProtocol
from meshproxy.translate.kinds.settings import SettingsObject, camel_case
from tests.unit.translate.support import Severity, check_fault, typed


def text(spec: str) -> str:
    head = "apiVersion: meshproxy.dev/v1alpha1\nkind: Settings\nmetadata: {name: a}\n"
    return f"{head}spec:\n  {spec}\n"


# What is written for a setting of a type, and what is read.
GIVEN: dict[type, tuple[str, object]] = {
    float: ("7s", 7.0),
    int: ("7", 7),
    str: ("10.0.0.7", "10.0.0.7"),
    bool: ("true", True),
    ProxyProtocol: (
        "{required: [80], optional: [81, 82], trusted: [10.0.0.0/8, 10.1.1.1, 'fd00::/8']}",
        ProxyProtocol((80,), (81, 82), ("10.0.0.0/8", "10.1.1.1/32", "fd00::/8")),
    ),
}


def test_names() -> None:
    assert camel_case("max_h2_streams") == "maxH2Streams"
    assert camel_case("linger") == "linger"


@pytest.mark.parametrize("name", [field.name for field in fields(DEFAULTS)])
def test_every_setting_can_be_set(name: str) -> None:
    default = getattr(DEFAULTS, name)
    given, wanted = GIVEN[type(default)]
    value, problems = typed(text(f"{camel_case(name)}: {given}"))
    assert not problems, [str(each) for each in problems]
    assert isinstance(value, SettingsObject)
    assert value.values == {name: wanted}


@pytest.mark.parametrize(("given", "value"), [("64Ki", 65536), ("1M", 1_000_000), ("2Gi", 2**31)])
def test_quantities(given: str, value: int) -> None:
    assert typed(text(f"bufferBytes: {given}"))[0].values == {"buffer_bytes": value}


def test_selectors() -> None:
    assert typed(text("selector: {matchLabels: {a: b}}"))[0].selector == {"a": "b"}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("bufferBytes: 0", "bufferBytes"),
        ("bufferBytes: 1.5", "bufferBytes"),
        ("bufferBytes: 64KB", "bufferBytes"),
        ("headerTimeout: 5", "headerTimeout"),
        ("headerTimeout: -1s", "headerTimeout"),
        ("h2PingTimeout: 0s", "h2PingTimeout"),
        ("dnsServers: '10.0.0.1, ns.example'", "dnsServers"),
        ("proxyProtocol: {required: [80]}", "proxyProtocol.trusted"),
        ("proxyProtocol: {optional: [80], trusted: []}", "proxyProtocol.trusted"),
        ("proxyProtocol: {required: [0], trusted: ['::/0']}", "proxyProtocol.required[0]"),
        ("proxyProtocol: {optional: ['80'], trusted: ['::/0']}", "proxyProtocol.optional[0]"),
        (
            "proxyProtocol: {required: [80], optional: [80], trusted: ['::/0']}",
            "proxyProtocol.optional",
        ),
        ("proxyProtocol: {required: [80], trusted: [10.0.0.1/8]}", "proxyProtocol.trusted[0]"),
        ("proxyProtocol: {required: [80], trusted: [lb.example]}", "proxyProtocol.trusted[0]"),
    ],
)
def test_faults(spec: str, field: str) -> None:
    check_fault(text(spec), f"spec.{field}")


def test_0_means_no_limit_where_that_is_the_default() -> None:
    assert typed(text("maxConnections: 0"))[1] == []


def test_unknown_settings() -> None:
    check_fault(text("bufferByte: 1"), "spec.bufferByte", "bufferBytes?", severity=Severity.WARNING)
