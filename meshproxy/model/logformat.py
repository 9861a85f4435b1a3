"""The language of access-log formats: text with Envoy's command operators.

Grammar (Envoy, access logging, "Command Operators"): ``%NAME%``, ``%NAME(ARGUMENT)%``,
``%NAME(ARGUMENT):LENGTH%``, and ``%%`` for a percent sign.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_OPERATOR = re.compile(r"%(?:%|([A-Z0-9_]+)(?:\(((?:[^()]|\([^()]*\))*)\))?(?::(\d+))?%)")

ADDRESSES = (
    "UPSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS",
)
NEED_ARGUMENT = frozenset(
    {"REQ", "RESP", "TRAILER", "ENVIRONMENT", "REQ_WITHOUT_QUERY", "DYNAMIC_METADATA"}
)
OPERATORS = (
    frozenset(
        {
            "BYTES_RECEIVED",
            "BYTES_SENT",
            "CONNECTION_TERMINATION_DETAILS",
            "DOWNSTREAM_LOCAL_URI_SAN",
            "DOWNSTREAM_PEER_FINGERPRINT_256",
            "DOWNSTREAM_PEER_SUBJECT",
            "DOWNSTREAM_PEER_URI_SAN",
            "DOWNSTREAM_TLS_CIPHER",
            "DOWNSTREAM_TLS_VERSION",
            "DOWNSTREAM_WIRE_BYTES_RECEIVED",
            "DOWNSTREAM_WIRE_BYTES_SENT",
            "DURATION",
            "GRPC_STATUS",
            "GRPC_STATUS_NUMBER",
            "HOSTNAME",
            "PROTOCOL",
            "REQUESTED_SERVER_NAME",
            "REQUEST_DURATION",
            "RESPONSE_CODE",
            "RESPONSE_CODE_DETAILS",
            "RESPONSE_DURATION",
            "RESPONSE_FLAGS",
            "RESPONSE_TX_DURATION",
            "ROUTE_NAME",
            "START_TIME",
            "UPSTREAM_CLUSTER",
            "UPSTREAM_CLUSTER_RAW",
            "UPSTREAM_HOST",
            "UPSTREAM_LOCAL_URI_SAN",
            "UPSTREAM_PEER_SUBJECT",
            "UPSTREAM_PEER_URI_SAN",
            "UPSTREAM_REQUEST_ATTEMPT_COUNT",
            "UPSTREAM_TLS_CIPHER",
            "UPSTREAM_TLS_VERSION",
            "UPSTREAM_TRANSPORT_FAILURE_REASON",
        }
    )
    | NEED_ARGUMENT
    | frozenset(name + end for name in ADDRESSES for end in ("", "_WITHOUT_PORT", "_PORT"))
)


class Operator(NamedTuple):
    """``%name(argument):length%``; ``argument`` None where there are no brackets; ``length`` 0."""

    name: str
    argument: str | None
    length: int


Piece = str | Operator


def parse_format(text: str) -> tuple[Piece, ...]:
    """Cut a format into plain text and operators.

    Raises ``ValueError`` with a sentence for a stray percent sign, an operator that Envoy does not
    have or that is not known here, and a missing argument.
    """
    pieces: list[Piece] = []
    at = 0
    while at < len(text):
        percent = text.find("%", at)
        if percent < 0:
            pieces.append(text[at:])
            break
        if percent > at:
            pieces.append(text[at:percent])
        match = _OPERATOR.match(text, percent)
        if match is None:
            raise ValueError(
                f"the % at character {percent + 1} starts no operator; write %% for one"
            )
        pieces.append(_operator(match))
        at = match.end()
    return tuple(pieces)


def _operator(match: re.Match[str]) -> Piece:
    name, argument, length = match.groups()
    if name is None:
        return "%"
    if name not in OPERATORS:
        raise ValueError(f"%{name}% is not an operator that is known here")
    if name in NEED_ARGUMENT and not argument:
        raise ValueError(f"%{name}% needs a name in brackets, as in %{name}(NAME)%")
    return Operator(name, argument, int(length or 0))
