"""What is read of gRPC: the status of a call (gRPC over HTTP/2 specification)."""

from __future__ import annotations

from meshproxy.wire.heads import Headers, ResponseHead

_UNKNOWN = 2


def grpc_status(answer: ResponseHead, trailers: Headers) -> int:
    """The call's status: from the trailers, or from the head of an answer that has no more.

    A call that ended without one is UNKNOWN (2), as the specification has it.
    """
    value = next((value for name, value in trailers if name.lower() == b"grpc-status"), None)
    if value is None:
        value = answer.fields.get(b"grpc-status", b"")
    return int(value) if value.isdigit() and len(value) <= 3 else _UNKNOWN
