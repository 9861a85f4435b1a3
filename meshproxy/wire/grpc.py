"""What is read of gRPC: who speaks it, a call's status and deadline (gRPC over HTTP/2).

The specification is `doc/PROTOCOL-HTTP2.md` of gRPC; where it leaves a proxy free, Envoy's
`source/common/grpc/common.cc` is followed.
"""

from __future__ import annotations

from typing import Final

from meshproxy.wire.heads import Headers, RequestHead, ResponseHead

_UNKNOWN: Final = 2
_TYPE: Final = b"application/grpc"
_MOST_DIGITS: Final = 8
_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_LEAST: Final = 0.001  # timers and Envoy count in milliseconds
_OF_HTTP: Final = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


def is_grpc(head: RequestHead) -> bool:
    """Whether the caller understands gRPC's answers; gRPC-Web's are others."""
    kind = head.fields.get(b"content-type")
    if kind is None or not kind.startswith(_TYPE):
        return False
    return len(kind) == len(_TYPE) or kind[len(_TYPE)] in b"+;"


def grpc_status(answer: ResponseHead, trailers: Headers) -> int:
    """The call's status: from the trailers, or from the head of an answer that has no more.

    A call that ended without one is UNKNOWN (2), as the specification has it.
    """
    value = next((value for name, value in trailers if name.lower() == b"grpc-status"), None)
    if value is None:
        value = answer.fields.get(b"grpc-status", b"")
    return int(value) if value.isdigit() and len(value) <= 3 else _UNKNOWN


def status_of_http(status: int) -> int:
    """What a call's status is where HTTP has one alone (gRPC's `http-grpc-status-mapping.md`)."""
    return _OF_HTTP.get(status, _UNKNOWN)


def time_limit(head: RequestHead, most: float) -> float:
    """Seconds that a request may take: what a gRPC caller asks for, or ``most``; 0: no limit."""
    asked = head.fields.get(b"grpc-timeout")
    if asked is None or not is_grpc(head):
        return most
    seconds = seconds_of(asked)
    return seconds if seconds and (not most or seconds < most) else most


def seconds_of(timeout: bytes) -> float:
    """What a ``grpc-timeout`` header says; 0 where it is not one."""
    digits, unit = timeout[:-1], _SECONDS.get(timeout[-1:])
    if unit is None or not digits.isdigit() or len(digits) > _MOST_DIGITS or not int(digits):
        return 0.0
    return max(int(digits) * unit, _LEAST)


def timeout_value(seconds: float) -> bytes:
    """A ``grpc-timeout`` header that says so."""
    milliseconds = max(1, round(seconds * 1000))
    if milliseconds < 10**_MOST_DIGITS:
        return b"%dm" % milliseconds
    return b"%dS" % min(milliseconds // 1000, 10**_MOST_DIGITS - 1)
