"""``telemetry.istio.io`` Telemetry: who gets access logs; metrics and traces are checked alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import LEAST_DURATION, read_selector
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.target_ref import read_targets

_MODES = ("CLIENT_AND_SERVER", "CLIENT", "SERVER")
_METRICS = [
    "ALL_METRICS",
    "REQUEST_COUNT",
    "REQUEST_DURATION",
    "REQUEST_SIZE",
    "RESPONSE_SIZE",
    "TCP_OPENED_CONNECTIONS",
    "TCP_CLOSED_CONNECTIONS",
    "TCP_SENT_BYTES",
    "TCP_RECEIVED_BYTES",
    "GRPC_REQUEST_MESSAGES",
    "GRPC_RESPONSE_MESSAGES",
]
_TAGS = {"literal": "value", "environment": "name", "header": "name", "formatter": "value"}


@dataclass(frozen=True, slots=True)
class LogRule:
    """``providers`` empty: those that are in force already."""

    providers: tuple[str, ...] = ()
    disabled: bool = False
    client: bool = True
    server: bool = True


@dataclass(frozen=True, slots=True)
class Telemetry:
    """``targeted``: for gateways or waypoints, not for sidecars."""

    meta: Meta
    selector: Mapping[str, str] | None
    targeted: bool
    logging: tuple[LogRule, ...]


def read_telemetry(top: Fields, meta: Meta) -> Telemetry:
    fields = top.mapping("spec")
    telemetry = Telemetry(
        meta,
        read_selector(fields),
        read_targets(fields),
        tuple(_read_log(entry) for entry in fields.mappings("accessLogging")),
    )
    tracing = list(fields.mappings("tracing"))
    if len(tracing) > 1:
        fields.warn("tracing", "only the first entry counts: multiple tracing is not done")
    for entry in tracing:
        _check_tracing(entry)
    for entry in fields.mappings("metrics"):
        _check_metrics(entry)
    fields.later("tracing", "metrics")
    fields.close()
    return telemetry


def _read_log(fields: Fields) -> LogRule:
    mode = _read_mode(fields)
    if fields.has("filter"):
        inner = fields.mapping("filter")
        inner.text("expression")
        inner.close()
        fields.later("filter")
    rule = LogRule(
        _read_providers(fields),
        fields.flag("disabled"),
        mode != "SERVER",
        mode != "CLIENT",
    )
    fields.close()
    return rule


def _read_mode(fields: Fields) -> str:
    if not fields.has("match"):
        return _MODES[0]
    inner = fields.mapping("match")
    mode = inner.choice("mode", _MODES, _MODES[0])
    inner.close()
    return mode


def _read_providers(fields: Fields) -> tuple[str, ...]:
    names = []
    for provider in fields.mappings("providers"):
        names.append(provider.required("name", "name an extension provider, or envoy"))
        provider.close()
    return tuple(names)


def _check_tracing(fields: Fields) -> None:
    _read_mode(fields)
    if len(_read_providers(fields)) > 1:
        fields.warn("providers", "only the first provider counts")
    for name in ("disableSpanReporting", "disableContextPropagation", "enableIstioTags"):
        fields.flag(name)
    fields.flag("useRequestIdForTraceSampling")
    if not 0 <= fields.number("randomSamplingPercentage") <= 100:
        fields.error("randomSamplingPercentage", "is not in 0-100")
    for name, value, path in fields.entries("customTags"):
        if not name:
            fields.report.error(path, "a tag's name can't be empty")
        if not isinstance(value, dict):
            text = f"the tag {name!r} may not have a nil value" if value is None else "no mapping"
            fields.report.error(path, text, "set literal, environment, header or formatter")
            continue
        _check_tag(Fields(value, path, fields.report))
    fields.close()


def _check_tag(tag: Fields) -> None:
    kind = tag.one_of(tuple(_TAGS), "a tag")
    if kind:
        inner = tag.mapping(kind)
        inner.required(_TAGS[kind])
        inner.text("defaultValue")
        inner.close()
    tag.close()


def _check_metrics(fields: Fields) -> None:
    _read_providers(fields)
    fields.duration("reportingInterval", None, LEAST_DURATION)
    for override in fields.mappings("overrides"):
        override.flag("disabled")
        if override.has("match"):
            _check_metric_match(override.mapping("match"))
        for name, value, path in override.entries("tagOverrides"):
            _check_override(override, name, value, path)
        override.close()
    fields.close()


def _check_metric_match(match: Fields) -> None:
    match.one_of(("metric", "customMetric"), "a metric")
    match.choice("metric", _METRICS)
    match.choice("mode", _MODES)
    if match.has("customMetric"):
        match.required("customMetric")
    match.close()


def _check_override(
    override: Fields, name: str, value: object, path: tuple[str | int, ...]
) -> None:
    if not isinstance(value, dict):
        override.report.error(path, "tagOverrides may not be null", "set value, or remove the tag")
        return
    fields = Fields(value, path, override.report)
    operation = fields.choice("operation", ("UPSERT", "REMOVE"), "UPSERT")
    text = fields.text("value")
    if operation == "UPSERT" and not text:
        fields.error("value", "must be set when operation is UPSERT")
    if operation == "REMOVE" and text:
        fields.error("value", "may only be set when operation is UPSERT", "remove it")
    if not name:
        override.report.warn(path, "a tag's name may not be empty")
    fields.close()
