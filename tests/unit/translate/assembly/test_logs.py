"""Access logs: MeshConfig, and Telemetry by mesh, namespace and workload."""

from __future__ import annotations

import pytest

from meshproxy.translate.kinds.access_log import DEFAULT_JSON, DEFAULT_TEXT
from tests.unit.translate.support import problems_of, snapshot_of

FILE = "kind: MeshConfig\naccessLogFile: /tmp/mesh.log\n"
PROVIDERS = """
kind: MeshConfig
extensionProviders:
- {name: text, envoyFileAccessLog: {path: /tmp/text, logFormat: {text: "%PROTOCOL%"}}}
- {name: json, envoyFileAccessLog: {path: /tmp/json, logFormat: {labels: {a: "%PROTOCOL%"}}}}
- {name: otel, envoyOtelAls: {service: o, port: 1}}
"""


def telemetry(rules: str, namespace: str = "default", name: str = "t", more: str = "") -> str:
    return (
        "---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{{more}accessLogging: {rules}}}\n"
    )


def logs(*texts: str, **options: object) -> list[tuple[str, bool, bool]]:
    found = snapshot_of(*texts, **options).access_logs
    return [(log.path, log.outbound, log.inbound) for log in found]


ENVOY = "[{providers: [{name: envoy}]}]"
MINE = "selector: {matchLabels: {app: me}}, "
OFF = "[{disabled: true}]"
ON = ("/dev/stdout", True, True)


def test_off_unless_asked_for() -> None:
    assert logs() == []
    assert logs(FILE) == [("/tmp/mesh.log", True, True)]
    assert logs(access_log="/tmp/own") == [("/tmp/own", True, True)]
    assert logs(FILE, access_log="/tmp/own") == [("/tmp/mesh.log", True, True)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([telemetry(ENVOY, "istio-system")], [ON]),
        ([telemetry(ENVOY)], [ON]),
        ([telemetry(ENVOY, more=MINE)], [ON]),
        ([telemetry(ENVOY, "other")], []),
        ([telemetry(ENVOY, more="selector: {matchLabels: {app: you}}, ")], []),
        ([telemetry("[{}]")], [ON]),
        ([telemetry(OFF)], []),
        ([telemetry(ENVOY, "istio-system"), telemetry(OFF)], []),
        ([telemetry(ENVOY, "istio-system"), telemetry(OFF, name="m", more=MINE)], []),
        ([telemetry(OFF, "istio-system"), telemetry(ENVOY)], [ON]),
        ([telemetry("[{match: {mode: CLIENT}}]")], [("/dev/stdout", True, False)]),
        ([telemetry("[{match: {mode: SERVER}}]")], [("/dev/stdout", False, True)]),
        (
            [telemetry("[{}, {disabled: true, match: {mode: CLIENT}}]")],
            [("/dev/stdout", False, True)],
        ),
        ([telemetry(ENVOY, more="targetRefs: [{kind: Service, name: s}], ")], []),
    ],
)
def test_levels(texts: list[str], expected: list[tuple[str, bool, bool]]) -> None:
    assert logs(*texts) == expected


def test_telemetry_takes_the_place_of_the_meshs_file() -> None:
    assert logs(FILE, telemetry(OFF)) == []
    assert logs(FILE, telemetry(ENVOY)) == [("/tmp/mesh.log", True, True)]


def test_providers() -> None:
    both = telemetry("[{providers: [{name: text}, {name: json}]}]")
    found = snapshot_of(PROVIDERS, both).access_logs
    assert [(log.path, log.text, log.json) for log in found] == [
        ("/tmp/text", "%PROTOCOL%", ()),
        ("/tmp/json", "", (("a", "%PROTOCOL%"),)),
    ]
    narrowed = telemetry("[{providers: [{name: json}]}]", name="m", more=MINE)
    assert [path for path, _, _ in logs(PROVIDERS, both, narrowed)] == ["/tmp/json"]


def test_default_providers() -> None:
    mesh = PROVIDERS + "defaultProviders: {accessLogging: [text]}\n"
    assert logs(mesh) == [("/tmp/text", True, True)]
    assert logs(mesh, telemetry("[{}]")) == [("/tmp/text", True, True)]


def test_providers_that_nothing_is_written_to_are_said() -> None:
    text = telemetry("[{providers: [{name: otel}, {name: nobody}]}]")
    assert logs(PROVIDERS, text) == []
    said = [each.text for each in problems_of(PROVIDERS, text)]
    assert len(said) == 2
    assert any("otel" in each for each in said)
    assert any("nobody" in each for each in said)


def test_formats_of_the_mesh() -> None:
    assert snapshot_of(FILE).access_logs[0].text == DEFAULT_TEXT
    found = snapshot_of(FILE + "accessLogEncoding: JSON\n").access_logs[0]
    assert (found.text, found.json) == ("", DEFAULT_JSON)
