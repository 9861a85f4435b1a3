"""One error for the data path, and the one table that says what each kind of it means.

A failure is a value: what happened (`Kind`), whose side it was on (`Side`), and whether sending the
request again could be right (`Retry`). That is decided where the failure is seen, because only
there it is known (was the connection a reused one? had a byte come back?). What the caller then
reads, which flag stands in the log and which gRPC status is sent is looked up in `TABLE`, so that
replies, logs and metrics can't disagree. Flags and details are Envoy's
(access log documentation: %RESPONSE_FLAGS%, %RESPONSE_CODE_DETAILS%).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Side(Enum):
    """Whose fault it was."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    US = "us"


class Retry(Enum):
    """Whether the same request may be sent once more."""

    NEVER = "never"
    IF_SAFE = "if-safe"  # nothing came back on a reused connection: right for idempotent requests
    ALWAYS = "always"  # the request has certainly not been seen by the upstream
    ELSEWHERE = "elsewhere"  # nor has it, and the connection takes no more: on another one


class Kind(Enum):
    """Everything that can end a request or a connection other than as asked."""

    BAD_REQUEST = "bad-request"
    HEADERS_TOO_LARGE = "headers-too-large"
    REQUEST_HEADER_TIMEOUT = "request-header-timeout"
    BAD_PATH = "bad-path"
    NO_ROUTE = "no-route"
    NO_CLUSTER = "no-cluster"
    BLOCKED = "blocked"
    DENIED = "denied"
    NO_ENDPOINT = "no-endpoint"
    DNS_FAILURE = "dns-failure"
    UNSUPPORTED = "unsupported"
    OVERFLOW = "overflow"
    CONNECT_FAILURE = "connect-failure"
    CONNECT_TIMEOUT = "connect-timeout"
    UPSTREAM_CLOSED = "upstream-closed"
    UPSTREAM_SILENT = "upstream-silent"
    UPSTREAM_RESET = "upstream-reset"
    UPSTREAM_PROTOCOL = "upstream-protocol"
    UPSTREAM_HEADERS_TOO_LARGE = "upstream-headers-too-large"
    NO_UPGRADE = "no-upgrade"
    TIMEOUT = "timeout"
    IDLE_TIMEOUT = "idle-timeout"
    CLIENT_GONE = "client-gone"
    DRAINED = "drained"
    INTERNAL = "internal"


class Meaning(NamedTuple):
    """What a kind of failure looks like from outside.

    ``status`` 0 means that nobody is left to be answered. ``details`` has Envoy's
    %RESPONSE_CODE_DETAILS%; ``text`` is the sentence that the reply's body starts with.
    """

    status: int
    grpc: int
    flag: str
    details: str
    text: str


_RESET = "upstream connect error or disconnect/reset before headers. reset reason: "

TABLE: dict[Kind, Meaning] = {
    Kind.BAD_REQUEST: Meaning(400, 13, "DPE", "http1.codec_error", "malformed request"),
    Kind.HEADERS_TOO_LARGE: Meaning(
        431, 8, "DPE", "http1.headers_too_large", "request headers too large"
    ),
    Kind.REQUEST_HEADER_TIMEOUT: Meaning(
        408, 4, "DT", "request_header_timeout", "request headers did not arrive in time"
    ),
    Kind.BAD_PATH: Meaning(
        400, 13, "-", "path_normalization_failed", "the request's path is not a path"
    ),
    Kind.NO_ROUTE: Meaning(404, 12, "NR", "route_not_found", "no route matches this request"),
    Kind.NO_CLUSTER: Meaning(
        503, 14, "NC", "cluster_not_found", "the route's destination does not exist"
    ),
    Kind.BLOCKED: Meaning(
        502, 14, "-", "direct_response", "the outbound traffic policy refuses unknown hosts"
    ),
    Kind.DENIED: Meaning(403, 7, "-", "rbac_access_denied_matched_policy[none]", ""),
    Kind.NO_ENDPOINT: Meaning(503, 14, "UH", "no_healthy_upstream", "no healthy upstream"),
    Kind.DNS_FAILURE: Meaning(
        503, 14, "DF", "dns_resolution_failure", "the upstream's name could not be resolved"
    ),
    Kind.UNSUPPORTED: Meaning(
        503, 14, "UF", "unsupported_configuration", "the configuration asks for what is not there"
    ),
    Kind.OVERFLOW: Meaning(
        503, 14, "UO", "upstream_reset_before_response_started{overflow}", _RESET + "overflow"
    ),
    Kind.CONNECT_FAILURE: Meaning(
        503,
        14,
        "UF",
        "upstream_reset_before_response_started{remote_connection_failure}",
        _RESET + "remote connection failure",
    ),
    Kind.CONNECT_TIMEOUT: Meaning(
        503,
        14,
        "UF",
        "upstream_reset_before_response_started{connection_timeout}",
        _RESET + "connection timeout",
    ),
    Kind.UPSTREAM_CLOSED: Meaning(
        503,
        14,
        "UC",
        "upstream_reset_before_response_started{connection_termination}",
        _RESET + "connection termination",
    ),
    Kind.UPSTREAM_SILENT: Meaning(
        503,
        14,
        "UC",
        "upstream_reset_before_response_started{http2_ping_timeout}",
        _RESET + "connection termination",
    ),
    Kind.UPSTREAM_RESET: Meaning(
        503,
        14,
        "UR",
        "upstream_reset_before_response_started{remote_reset}",
        _RESET + "remote reset",
    ),
    Kind.UPSTREAM_PROTOCOL: Meaning(
        502,
        14,
        "UPE",
        "upstream_reset_before_response_started{protocol_error}",
        _RESET + "protocol error",
    ),
    Kind.UPSTREAM_HEADERS_TOO_LARGE: Meaning(
        503,
        14,
        "UPE",
        "upstream_reset_before_response_started{headers_too_large}",
        _RESET + "response headers too large",
    ),
    Kind.NO_UPGRADE: Meaning(
        502, 14, "UPE", "upgrade_failed", "the upstream does not switch to another protocol"
    ),
    Kind.TIMEOUT: Meaning(504, 4, "UT", "response_timeout", "upstream request timeout"),
    Kind.IDLE_TIMEOUT: Meaning(504, 4, "SI", "stream_idle_timeout", "stream timeout"),
    Kind.CLIENT_GONE: Meaning(0, 1, "DC", "downstream_remote_disconnect", "the client left"),
    Kind.DRAINED: Meaning(503, 14, "LR", "local_reset", "the sidecar is shutting down"),
    Kind.INTERNAL: Meaning(500, 13, "LR", "internal_error", "internal error in the sidecar"),
}


class ProxyError(Exception):
    """A request or connection that could not be carried on.

    ``reason`` is one sentence for people: it follows the table's text in the reply and in the log.
    It must not hold secrets; to callers outside the mesh it must not name a policy. ``details``
    take the place of the table's where the case has its own.
    """

    __slots__ = ("details", "kind", "reason", "retry", "side", "status")

    def __init__(
        self,
        kind: Kind,
        reason: str = "",
        side: Side = Side.UPSTREAM,
        retry: Retry = Retry.NEVER,
        status: int = 0,
        details: str = "",
    ) -> None:
        super().__init__(reason or kind.value)
        self.kind = kind
        self.reason = reason
        self.side = side
        self.retry = retry
        # Some kinds carry a finer status than the table's (a 501 for an unknown transfer coding).
        self.status = status or TABLE[kind].status
        self.details = details or TABLE[kind].details

    @property
    def meaning(self) -> Meaning:
        return TABLE[self.kind]

    def body(self) -> bytes:
        """The plain-text body of the local answer: what happened, why, and the flag."""
        meaning = self.meaning
        if self.kind is Kind.DENIED:
            return b"RBAC: access denied"
        text = f"{meaning.text}: {self.reason}" if self.reason else meaning.text
        return (text if meaning.flag == "-" else f"{text} ({meaning.flag})").encode()
