"""Merged counts as Prometheus text (exposition format 0.0.4).

Written by hand, since a scrape of 1,000 series must not keep the supervisor busy for a second; the
text is checked in tests by `prometheus_client`'s parser.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from meshproxy.telemetry.metrics import BUCKETS, HTTP_LABELS, TCP_LABELS, Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PLAIN: dict[str, tuple[tuple[str, ...], str]] = {
    "meshproxy_direct_connections_total": (
        ("listener",),
        "Connections made straight to a capture port, closed.",
    ),
    "meshproxy_connections_refused_total": (
        ("listener", "reason"),
        "Downstream connections closed by a policy or a limit.",
    ),
    "meshproxy_connections_handed_over_total": (
        ("listener",),
        "Downstream connections that a worker handed to one with fewer.",
    ),
    "meshproxy_upstream_tls_failures_total": (
        ("cluster", "reason"),
        "Upstream connections that could not be secured.",
    ),
    "meshproxy_authorization_denied_total": (
        ("policy", "rule", "protocol"),
        "Requests and TCP connections refused; without a policy, none allowed them.",
    ),
    "meshproxy_authorization_shadow_total": (
        ("action", "result", "policy", "rule"),
        "What AUDIT policies and those in dry run would have said.",
    ),
    "meshproxy_downstream_protocol_errors_total": (
        ("listener", "reason"),
        "Requests that broke the rules of their protocol.",
    ),
    "meshproxy_upstream_protocol_errors_total": (
        ("cluster", "reason"),
        "Answers and frames of upstreams that broke the rules of their protocol.",
    ),
    "meshproxy_downstream_http2_ping_timeouts_total": (
        ("listener",),
        "HTTP/2 connections cut because their client did not answer a PING.",
    ),
    "meshproxy_upstream_http2_ping_timeouts_total": (
        ("cluster",),
        "HTTP/2 connections cut because their server did not answer a PING.",
    ),
    "meshproxy_access_log_dropped_total": ((), "Access-log lines lost to a slow sink."),
    "meshproxy_metric_series_dropped_total": ((), "Label sets counted as other, past the bound."),
    "meshproxy_request_resends_total": (
        (),
        "Requests sent once more, as the upstream was closing its connection.",
    ),
}
"""Plain counters: their label names and help."""

_HTTP_HISTOGRAMS = (
    ("istio_request_duration_milliseconds", "Duration of requests in milliseconds."),
    ("istio_request_bytes", "Size of requests on the wire."),
    ("istio_response_bytes", "Size of responses on the wire."),
)
_TCP_COUNTERS = (
    ("istio_tcp_connections_opened_total", "TCP connections opened."),
    ("istio_tcp_connections_closed_total", "TCP connections closed."),
    ("istio_tcp_received_bytes_total", "Bytes received from downstream."),
    ("istio_tcp_sent_bytes_total", "Bytes sent to downstream."),
)
_BOUNDS = (*(f'le="{bound:.10g}"' for bound in BUCKETS), 'le="+Inf"')


def escape(value: str) -> str:
    """A label's value between its quotes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def label_text(names: Iterable[str], values: Labels) -> str:
    """``a="1",b="2"``"""
    return ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True))


def render(total: dict[str, Any]) -> str:
    """The text of one scrape of what `metrics.merge` returned."""
    lines: list[str] = []
    http = [(label_text(HTTP_LABELS, labels), cell) for labels, cell in total["http"].items()]
    if http:
        _head(lines, "istio_requests_total", "counter", "Requests.")
        lines += [f"istio_requests_total{{{labels}}} {cell[0]}" for labels, cell in http]
        for at, (name, text) in enumerate(_HTTP_HISTOGRAMS):
            _head(lines, name, "histogram", text)
            for labels, cell in http:
                _histogram(lines, name, labels, cell[1 + 2 * at], cell[2 + 2 * at])
    tcp = [(label_text(TCP_LABELS, labels), cell) for labels, cell in total["tcp"].items()]
    if tcp:
        for at, (name, text) in enumerate(_TCP_COUNTERS):
            _head(lines, name, "counter", text)
            lines += [f"{name}{{{labels}}} {cell[at]}" for labels, cell in tcp]
    _render_plain(lines, total["plain"])
    return "\n".join(lines) + "\n"


def _head(lines: list[str], name: str, kind: str, text: str) -> None:
    lines.append(f"# HELP {name} {text}")
    lines.append(f"# TYPE {name} {kind}")


def _histogram(lines: list[str], name: str, labels: str, counts: list[int], total: float) -> None:
    start = f"{name}_bucket{{{labels},"
    running = list(accumulate(counts))
    lines += [f"{start}{bound}}} {count}" for bound, count in zip(_BOUNDS, running, strict=True)]
    lines.append(f"{name}_sum{{{labels}}} {total:.17g}")
    lines.append(f"{name}_count{{{labels}}} {running[-1]}")


def _render_plain(lines: list[str], plain: dict[tuple[str, Labels], int]) -> None:
    for name, (names, text) in PLAIN.items():
        cells = [(labels, count) for (found, labels), count in plain.items() if found == name]
        if not cells and names:
            continue
        _head(lines, name, "counter", text)
        for labels, count in cells or [((), 0)]:
            shown = f"{{{label_text(names, labels)}}}" if labels else ""
            lines.append(f"{name}{shown} {count}")
