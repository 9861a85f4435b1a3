"""Which header fields pass, which end here, and which are ours.

Hop-by-hop fields and those that `Connection` names end here, before ours are added, so that a
caller can't have ours dropped (RFC 9110 section 7.6.1). What is added and taken away is what
Istio's sidecars do (Envoy, "HTTP header manipulation"; without `use_remote_address`, so that
`X-Forwarded-For` passes unchanged).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, Final

from meshproxy.record import Secured
from meshproxy.route.client_cert import FIELD as _CALLER
from meshproxy.route.rewrite import PathRewrite
from meshproxy.wire.framing import tokens
from meshproxy.wire.grpc import is_grpc, timeout_value
from meshproxy.wire.heads import Headers, RequestHead, ResponseHead, without

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Ours on the way in, or answers to them: a caller does not get to set these.
OVERRIDES: Final = frozenset(
    {
        b"x-envoy-decorator-operation",
        b"x-envoy-downstream-service-cluster",
        b"x-envoy-downstream-service-node",
        b"x-envoy-expected-rq-timeout-ms",
        b"x-envoy-external-address",
        b"x-envoy-force-trace",
        b"x-envoy-hedge-on-per-try-timeout",
        b"x-envoy-internal",
        b"x-envoy-ip-tags",
        b"x-envoy-is-timeout-retry",
        b"x-envoy-max-retries",
        b"x-envoy-original-url",
        b"x-envoy-retriable-header-names",
        b"x-envoy-retriable-status-codes",
        b"x-envoy-retry-grpc-on",
        b"x-envoy-retry-on",
        b"x-envoy-upstream-alt-stat-name",
        b"x-envoy-upstream-rq-per-try-timeout-ms",
        b"x-envoy-upstream-rq-timeout-alt-response",
        b"x-envoy-upstream-rq-timeout-ms",
        b"x-envoy-upstream-stream-duration-ms",
    }
)
_ENDED_INBOUND: Final = HOP_BY_HOP | {_CALLER, b"x-envoy-decorator-operation"}
_ENDED_OUTBOUND: Final = _ENDED_INBOUND | {b"x-envoy-attempt-count"}
_LOOKED_AT_INBOUND: Final = _ENDED_INBOUND | OVERRIDES
_LOOKED_AT_OUTBOUND: Final = _ENDED_OUTBOUND | OVERRIDES
# `Connection` may not take these away.
_NEVER_NAMED: Final = frozenset({b"host", b"content-length"})

_FIRST: Final[Any] = (b"x-envoy-attempt-count", b"1")
_HTTP: Final[Any] = (b"x-forwarded-proto", b"http")
_HTTPS: Final[Any] = (b"x-forwarded-proto", b"https")


def request_headers(
    head: RequestHead,
    outbound: bool,
    request_id: Callable[[], bytes],
    secured: Secured | None = None,
) -> Headers:
    """The fields that go on to the upstream. ``request_id`` makes one where the caller sent none.

    ``secured``: what is known of a caller by mutual TLS. It is told to the app behind what that
    caller says of its own callers; from anybody else nothing of the kind is believed. Other modes
    than this, APPEND_FORWARD, change the result (`route/client_cert.py`).

    The new id is put among the head's own fields as well, for the log.
    """
    fields = head.fields
    headers = head.headers
    if not (_LOOKED_AT_OUTBOUND if outbound else _LOOKED_AT_INBOUND).isdisjoint(fields):
        headers = without(headers, _ended_here(head, outbound))
    if b"x-request-id" not in fields:
        fields[b"x-request-id"] = new = request_id()
        headers.append((b"x-request-id", new))
    if b"x-forwarded-proto" not in fields:
        headers.append(_HTTPS if head.scheme == b"https" else _HTTP)
    if outbound:
        headers.append(_FIRST)
    elif secured is not None and secured.xfcc:
        before = fields.get(_CALLER)
        xfcc = secured.xfcc if before is None else b"%b,%b" % (before, secured.xfcc)
        headers.append((_CALLER, xfcc))
    return headers


_TIMEOUT: Final = b"grpc-timeout"


def tell_timeout(head: RequestHead, headers: Headers, seconds: float) -> Headers:
    """Tell the upstream how long a route waits for it, in Envoy's words and in gRPC's."""
    if is_grpc(head):
        headers = without(headers, {_TIMEOUT})
        headers.append((_TIMEOUT, timeout_value(seconds)))
    headers.append((b"x-envoy-expected-rq-timeout-ms", b"%d" % (seconds * 1000)))
    return headers


_ORIGINAL_PATH: Final = b"x-envoy-original-path"
_HOSTS: Final = frozenset({b"host", b"x-envoy-original-host"})


def rewrite(
    head: RequestHead, headers: Headers, path: PathRewrite | None, authority: bytes
) -> Headers:
    """Give the request another path and another Host ("" for its own).

    The fields tell the upstream what they were, whatever the caller says that they were.
    """
    if path is not None:
        if _ORIGINAL_PATH in head.fields:
            headers = without(headers, {_ORIGINAL_PATH})
        headers.append((_ORIGINAL_PATH, head.path))
        head.path = path(head.path)
    if authority:
        kept = without(headers, _HOSTS)
        headers = [(b"host", authority), *kept, (b"x-envoy-original-host", head.authority)]
        head.authority = authority
    return headers


def _ended_here(head: RequestHead, outbound: bool) -> frozenset[bytes]:
    fields = head.fields
    gone = _ENDED_OUTBOUND if outbound else _ENDED_INBOUND
    if b"connection" in fields:
        gone = (gone | set(tokens(fields[b"connection"]))) - _NEVER_NAMED
    if not OVERRIDES.isdisjoint(fields) and not _is_internal(fields.get(b"x-forwarded-for", b"")):
        gone |= OVERRIDES
    return gone


def _is_internal(forwarded_for: bytes) -> bool:
    """Envoy's rule without `use_remote_address`: exactly one address, and a private one."""
    try:
        address = ipaddress.ip_address(forwarded_for.decode("latin-1").strip())
    except ValueError:
        return False
    return address.is_private and not address.is_unspecified


def _kept(head: ResponseHead, gone: frozenset[bytes]) -> Headers:
    """The fields that are not ``gone``, where no name came twice: the names in lower case are at
    hand, in the same order."""
    lines: list[Any] = head.headers
    kept: list[Any] = []
    for at, name in enumerate(head.fields):
        if name not in gone:
            kept.append(lines[at])
    return kept


# Also what `Connection` usually names: itself, as "keep-alive" and "close" are options.
_ANSWER_GONE: Final = HOP_BY_HOP | {b"close", b"server", b"x-envoy-upstream-service-time"}


def answer_headers(
    head: ResponseHead, server: tuple[bytes, bytes], date: bytes, milliseconds: int
) -> Headers:
    """The fields that go back to the client.

    ``server`` replaces the upstream's, as Envoy does; ``date`` is used where it sent none.
    """
    fields = head.fields
    headers = head.headers
    if not _ANSWER_GONE.isdisjoint(fields):
        gone = _ANSWER_GONE
        if b"connection" in fields:
            named = tokens(fields[b"connection"])
            if not gone.issuperset(named):
                gone = gone | (set(named) - _NEVER_NAMED)
        headers = without(headers, gone) if len(fields) != len(headers) else _kept(head, gone)
    if b"date" not in fields:
        headers.append((b"date", date))
    headers.append(server)
    time = b"%d" % milliseconds
    headers.append((b"x-envoy-upstream-service-time", time))
    # For the log, which tells what the client was sent.
    fields[b"server"] = server[1]
    fields[b"x-envoy-upstream-service-time"] = time
    return headers
