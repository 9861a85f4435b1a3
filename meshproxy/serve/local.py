"""Answers that are made here and not by an upstream."""

from __future__ import annotations

from urllib.parse import quote

from meshproxy.base.errors import ProxyError
from meshproxy.plan.plan import RoutePlan
from meshproxy.wire.grpc import is_grpc, status_of_http
from meshproxy.wire.heads import RequestHead, ResponseHead, index

_TEXT = (b"content-type", b"text/plain")
# What `quote` would code besides: 0x20 to 0x7E without "%" stand for themselves in a message.
_UNCODED = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}"


def local_answer(status: int, body: bytes) -> tuple[ResponseHead, bytes]:
    """A plain-text answer with its body, where its status may have one (RFC 9110 section 6.4.1)."""
    if status in (204, 304):
        return _head(status, [], 0), b""
    headers = [(b"content-length", b"%d" % len(body))]
    if body:
        headers.append(_TEXT)
    return _head(status, headers, len(body)), body


def redirect_answer(status: int, location: bytes) -> tuple[ResponseHead, bytes]:
    """A redirect; it has no body, as Envoy's."""
    return _head(status, [(b"location", location), (b"content-length", b"0")], 0), b""


def error_answer(error: ProxyError, head: RequestHead) -> tuple[ResponseHead, bytes]:
    """What went wrong, in the words of the protocol that was asked in."""
    if is_grpc(head):
        return grpc_answer(error.meaning.grpc, error.body())
    return local_answer(error.status, error.body())


def route_answer(route: RoutePlan, head: RequestHead) -> tuple[ResponseHead, bytes]:
    """What a route that sends nothing on answers."""
    location = None if route.location is None else route.location(head)
    if is_grpc(head):
        return grpc_answer(status_of_http(route.status), route.body, location)
    if location is not None:
        return redirect_answer(route.status, location)
    return local_answer(route.status, route.body)


def grpc_answer(
    grpc_status: int, message: bytes, location: bytes | None = None
) -> tuple[ResponseHead, bytes]:
    """A failed call without messages ("trailers-only", gRPC over HTTP/2 specification).

    ``grpc-message`` is percent-encoded, as the specification asks. A redirect's ``location`` is
    told all the same, as Envoy does.
    """
    headers = [(b"content-type", b"application/grpc"), (b"grpc-status", b"%d" % grpc_status)]
    if message:
        headers.append((b"grpc-message", quote(message, safe=_UNCODED).encode()))
    if location is not None:
        headers.append((b"location", location))
    return _head(200, headers, 0), b""


def _head(status: int, headers: list[tuple[bytes, bytes]], length: int) -> ResponseHead:
    head = ResponseHead(status, headers, index(headers))
    head.length = length
    return head
