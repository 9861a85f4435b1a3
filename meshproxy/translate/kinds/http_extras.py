"""Parts of an HTTP route that are checked in full and not yet acted on.

Retries, faults and mirrors: Istio's rules for them hold here already, so that a file that is
wrong is told apart from one that is early.
"""

from __future__ import annotations

from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import LEAST_DURATION, read_destination, read_percentage
from meshproxy.translate.problems import did_you_mean

RETRY_ON = frozenset(
    [
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ]
)
# Status codes that HTTP gives a name (Go `net/http`); a retry on any other is a slip of the pen.
_STATUSES = frozenset(
    str(status)
    for first, last in ((100, 103), (200, 208), (226, 226), (300, 305), (307, 308), (400, 418),
                        (421, 426), (428, 429), (431, 431), (451, 451), (500, 508), (510, 511))
    for status in range(first, last + 1)
)  # fmt: skip
_GRPC_STATUSES = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
_LEAST_PERCENTAGE = 0.0001  # Envoy counts in millionths


def check_extras(route: Fields) -> None:
    """All of them, and a word for each that has no effect yet."""
    route.read("retries", check_retries)
    route.read("fault", _check_fault)
    _check_mirrors(route)
    route.later("retries", "fault", "mirror", "mirrors")
    route.skip("mirrorPercent", "mirror_percent", "mirrorPercentage")


def check_retries(fields: Fields) -> None:
    attempts = fields.integer("attempts", 0, 0, 2**31 - 1)
    timeout = fields.duration("perTryTimeout", None, LEAST_DURATION)
    fields.duration("backoff", None, LEAST_DURATION)
    fields.flag("retryRemoteLocalities")
    fields.flag("retryIgnorePreviousHosts")
    retry_on = fields.text("retryOn")
    if not attempts and (timeout is not None or retry_on or fields.has("retryRemoteLocalities")):
        fields.error("attempts", "0 turns retries off, yet says how to retry", "set attempts")
    for condition in retry_on.split(",") if retry_on else ():
        if condition not in RETRY_ON and condition not in _STATUSES:
            mend = did_you_mean(condition, RETRY_ON)
            fields.error("retryOn", f"{condition!r} is not a retry condition", mend)


def _check_fault(fields: Fields) -> None:
    if not fields.has("abort") and not fields.has("delay"):
        fields.error("abort", "a fault must have an abort or a delay")
    fields.read("abort", _check_abort)
    fields.read("delay", _check_delay)


def _check_abort(fields: Fields) -> None:
    _check_percentage(fields)
    kind = fields.one_of(("httpStatus", "grpcStatus", "http2Error"), "an abort")
    status = fields.integer("httpStatus", 200, -(2**31), 2**31)
    if not 200 <= status <= 600:
        fields.error("httpStatus", f"{status} is not in 200-599")
    fields.choice("grpcStatus", _GRPC_STATUSES)
    if kind == "http2Error":
        fields.error("http2Error", "is not supported", "use httpStatus or grpcStatus")
    elif not kind:
        fields.warn(
            "httpStatus", "the abort does not say with what", "set httpStatus or grpcStatus"
        )


def _check_delay(fields: Fields) -> None:
    _check_percentage(fields)
    fields.integer("percent", 0, 0, 100)
    fields.one_of(("fixedDelay", "exponentialDelay"), "a delay")
    fields.duration("fixedDelay", None, LEAST_DURATION)
    if fields.has("exponentialDelay"):
        fields.error("exponentialDelay", "is not supported", "use fixedDelay")


def _check_percentage(fields: Fields) -> None:
    share = read_percentage(fields, "percentage")
    if 0 < share < _LEAST_PERCENTAGE:
        fields.error("percentage", f"{share:g} is smaller than {_LEAST_PERCENTAGE}")


def _check_mirrors(route: Fields) -> None:
    if route.has("mirror"):
        read_destination(route.mapping("mirror"))
        if route.items("mirrors"):
            route.error("mirrors", "mirror and mirrors can't both be set", "use mirrors alone")
    for mirror in route.mappings("mirrors"):
        if not mirror.has("destination"):
            mirror.error("destination", "is required")
        else:
            read_destination(mirror.mapping("destination"))
        read_percentage(mirror, "percentage")
        mirror.close()
    for name in ("mirrorPercent", "mirror_percent"):
        if route.has(name):
            route.integer(name, 0, 0, 100)
            route.warn(name, "is an old spelling", "use mirrorPercentage: {value: …}")
    read_percentage(route, "mirrorPercentage")
