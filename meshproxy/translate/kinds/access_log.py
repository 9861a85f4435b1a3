"""Access-log formats as the configuration gives them, checked and made fit for the writer."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from meshproxy.model.logformat import OPERATORS, parse_format
from meshproxy.translate.fields import Fields
from meshproxy.translate.problems import UNSUPPORTED, Path, Report, nearest

# Istio `pilot/pkg/model/telemetry_logging.go`.
DEFAULT_TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" '
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% '
    '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% '
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%"
)
DEFAULT_JSON = (
    ("start_time", "%START_TIME%"),
    ("route_name", "%ROUTE_NAME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration", "%DURATION%"),
    ("upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
)
_OPERATOR = re.compile(r"%([A-Z0-9_]+)(?:\((?:[^()]|\([^()]*\))*\))?(?::\d+)?%")


class LogFormat(NamedTuple):
    """One of both is set; see `AccessLog`."""

    text: str = ""
    json: tuple[tuple[str, str], ...] = ()


TEXT = LogFormat(DEFAULT_TEXT)
JSON = LogFormat("", DEFAULT_JSON)


def read_mesh_format(fields: Fields) -> LogFormat:
    """MeshConfig's ``accessLogFormat`` in its ``accessLogEncoding``."""
    encoding = fields.choice("accessLogEncoding", ("TEXT", "JSON"), "TEXT")
    text = fields.text("accessLogFormat")
    if encoding == "TEXT":
        return _text(text, fields.at("accessLogFormat"), fields.report) if text else TEXT
    if not text:
        return JSON
    try:
        labels = json.loads(text)
    except ValueError as error:
        fields.error("accessLogFormat", f"is not JSON: {error}", '{"key": "%OPERATOR%"}')
        return JSON
    return _json(labels, fields.at("accessLogFormat"), fields.report)


def read_provider_format(fields: Fields) -> LogFormat | None:
    """``logFormat`` of a file provider: ``text``, or ``labels`` for JSON; None: the mesh's own."""
    if not fields.has("logFormat"):
        return None
    inner = fields.mapping("logFormat")
    kind = inner.one_of(("text", "labels"), "a log format")
    inner.close()
    if kind == "labels":
        return _json(inner.raw("labels"), inner.at("labels"), fields.report)
    text = inner.text("text")
    return _text(text, inner.at("text"), fields.report) if text else None


def _text(text: str, path: Path, report: Report) -> LogFormat:
    return LogFormat(_checked(text.removesuffix("\n"), path, report))


def _json(labels: Any, path: Path, report: Report) -> LogFormat:
    if not isinstance(labels, dict) or not labels:
        report.error(path, "must be a mapping from keys to formats")
        return JSON
    pairs = []
    for key, value in labels.items():
        if isinstance(value, (dict, list)):
            report.warn((*path, key), "nested keys are left out in this build", "", UNSUPPORTED)
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        pairs.append((key, _checked(text, (*path, key), report)))
    return LogFormat("", tuple(pairs)) if pairs else JSON


def _checked(text: str, path: Path, report: Report) -> str:
    """The format, with ``-`` for operators that are not known here."""

    def known(match: re.Match[str]) -> str:
        if match[1] in OPERATORS:
            return match[0]
        near = nearest(match[1], OPERATORS)
        mend = f"did you mean %{near}%?" if near else ""
        report.warn(path, f"%{match[1]}% is not known in this build: '-'", mend, UNSUPPORTED)
        return "-"

    text = _OPERATOR.sub(known, text)
    try:
        parse_format(text)
    except ValueError as error:
        report.error(path, str(error), "write %% for a percent sign")
        return ""
    return text
