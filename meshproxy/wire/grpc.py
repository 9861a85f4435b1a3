"""What is read of gRPC: who speaks it, a call's status and deadline (gRPC over HTTP/2).

The specification is `doc/PROTOCOL-HTTP2.md` of gRPC; where it leaves a proxy free, Envoy's
`source/common/grpc/common.cc` is followed.
"""

from __future__ import annotations

from typing import Final

from meshproxy.wire.heads import Headers, RequestHead, ResponseHead, lower

_UNKNOWN: Final = 2
_TYPE: Final = b"application/grpc"
_MOST: Final = 99_999_999  # eight digits
_LONGEST: Final = 32  # characters; zeros in front do not count
_NANOSECONDS: Final = {
    b"H": 3600 * 10**9,
    b"M": 60 * 10**9,
    b"S": 10**9,
    b"m": 10**6,
    b"u": 1000,
    b"n": 1,
}
_OF_HTTP: Final = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


def is_grpc(head: RequestHead) -> bool:
    """Whether the caller understands gRPC's answers; gRPC-Web's are others."""
    kind = head.fields.get(b"content-type")
    return kind is not None and is_grpc_type(kind)


def is_grpc_type(kind: bytes) -> bool:
    """Whether a Content-Type is gRPC's own."""
    if not kind.startswith(_TYPE):
        return False
    return len(kind) == len(_TYPE) or kind[len(_TYPE)] in b"+;"


def grpc_status(answer: ResponseHead, trailers: Headers) -> int:
    """The call's status: from the trailers, or from the head of an answer that has no more.

    One that is no number is UNKNOWN (2). A call without any was answered by somebody who does not
    speak gRPC, or not to its end: then HTTP's status tells, as gRPC's clients and Envoy have it.
    """
    value = None
    for name, text in trailers:
        if lower(name) == b"grpc-status":
            value = text
            break
    if value is None:
        value = answer.fields.get(b"grpc-status")
        if value is None:
            return status_of_http(answer.status)
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
    """What a ``grpc-timeout`` header says, to the next millisecond; 0 where it is not one.

    Envoy reads numbers with `absl::SimpleAtoi`, which lets blanks, zeros and a plus stand in front.
    """
    digits, unit = timeout[:-1].strip().removeprefix(b"+"), _NANOSECONDS.get(timeout[-1:])
    if unit is None or not digits.isdigit() or len(digits) > _LONGEST or int(digits) > _MOST:
        return 0.0
    return -(-int(digits) * unit // 10**6) / 1000


def timeout_value(seconds: float) -> bytes:
    """A ``grpc-timeout`` header that says so."""
    milliseconds = max(1, round(seconds * 1000))
    if milliseconds <= _MOST:
        return b"%dm" % milliseconds
    return b"%dS" % min(milliseconds // 1000, _MOST)
