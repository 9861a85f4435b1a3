"""Envoy's command operators as functions of a record.

A getter returns text, a whole number, or None where there is nothing to say.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Final

from meshproxy.base.addr import Address
from meshproxy.model.logformat import Operator
from meshproxy.record import Record
from meshproxy.wire.heads import RequestHead, ResponseHead

Get = Callable[[Record], str | int | None]

# gRPC status names by number (gRPC documentation, statuscodes.md), in Envoy's two spellings.
_GRPC = (
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
)


def compile_operator(operator: Operator, environment: Mapping[str, str]) -> Get:
    """The getter of one operator, cut to its length where it has one."""
    get = _compile(operator.name, operator.argument, environment)
    length = operator.length
    if not length:
        return get

    def cut(record: Record) -> str | int | None:
        value = get(record)
        return value[:length] if isinstance(value, str) else value

    return cut


def _compile(name: str, argument: str | None, environment: Mapping[str, str]) -> Get:
    if name in _PLAIN:
        return _PLAIN[name]
    match name:
        case "START_TIME":
            return _start_time(argument)
        case "REQ" | "RESP" | "TRAILER" | "REQ_WITHOUT_QUERY":
            return _header(name, argument or "")
        case "GRPC_STATUS":
            return _grpc_number if argument == "NUMBER" else _grpc_name(argument)
        case "DYNAMIC_METADATA":
            return _metadata(argument or "")
        case "ENVIRONMENT" | "HOSTNAME":
            value = environment.get(argument or "HOSTNAME")
            return lambda record: value
        case _:
            return _address(name)


def _milliseconds(start: float, end: float) -> int:
    return int((end - start) * 1000)


def _duration(record: Record) -> int:
    return record.duration_ms


def _response_duration(record: Record) -> int | None:
    return _milliseconds(record.start, record.answered) if record.answered else None


def _response_tx(record: Record) -> int | None:
    if not record.answered:
        return None
    return record.duration_ms - _milliseconds(record.start, record.answered)


def _request_duration(record: Record) -> int | None:
    return _milliseconds(record.start, record.taken) if record.taken else None


def _cluster_name(record: Record) -> str | None:
    return record.cluster.name if record.cluster is not None else None


def _route_name(record: Record) -> str | None:
    return record.route.name if record.route is not None else None


def _upstream(record: Record) -> str | None:
    return str(record.upstream) if record.upstream.ip else None


def _tls(field: str, upstream: bool) -> Get:
    """A field of what TLS has made known of one side; nothing where it was plain text."""

    def get(record: Record) -> str | None:
        secured = record.upstream_secured if upstream else record.secured
        return None if secured is None else getattr(secured, field) or None

    return get


def _details(record: Record) -> str:
    return record.details.replace(" ", "_")


_PLAIN: dict[str, Get] = {
    "BYTES_RECEIVED": lambda record: record.body_in,
    "BYTES_SENT": lambda record: record.body_out,
    "CONNECTION_TERMINATION_DETAILS": lambda record: record.termination,
    "DOWNSTREAM_WIRE_BYTES_RECEIVED": lambda record: record.wire_in,
    "DOWNSTREAM_WIRE_BYTES_SENT": lambda record: record.wire_out,
    "DOWNSTREAM_LOCAL_URI_SAN": _tls("own", False),
    "DOWNSTREAM_PEER_FINGERPRINT_256": _tls("digest", False),
    "DOWNSTREAM_PEER_SUBJECT": _tls("subject", False),
    "DOWNSTREAM_PEER_URI_SAN": _tls("identity", False),
    "DOWNSTREAM_TLS_CIPHER": _tls("cipher", False),
    "DOWNSTREAM_TLS_VERSION": _tls("version", False),
    "DURATION": _duration,
    "GRPC_STATUS_NUMBER": lambda record: _grpc_number(record),
    "PROTOCOL": lambda record: record.protocol,
    "REQUESTED_SERVER_NAME": lambda record: record.server_name or None,
    "REQUEST_DURATION": _request_duration,
    "RESPONSE_CODE": lambda record: record.code,
    "RESPONSE_CODE_DETAILS": _details,
    "RESPONSE_DURATION": _response_duration,
    "RESPONSE_FLAGS": lambda record: record.flags,
    "RESPONSE_TX_DURATION": _response_tx,
    "ROUTE_NAME": _route_name,
    "UPSTREAM_CLUSTER": _cluster_name,
    "UPSTREAM_CLUSTER_RAW": _cluster_name,
    "UPSTREAM_HOST": _upstream,
    "UPSTREAM_LOCAL_URI_SAN": _tls("own", True),
    "UPSTREAM_PEER_SUBJECT": _tls("subject", True),
    "UPSTREAM_PEER_URI_SAN": _tls("identity", True),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda record: record.attempt_count,
    "UPSTREAM_TLS_CIPHER": _tls("cipher", True),
    "UPSTREAM_TLS_VERSION": _tls("version", True),
    "UPSTREAM_TRANSPORT_FAILURE_REASON": lambda record: record.transport_failure.replace(" ", "_"),
}


def _address(name: str) -> Get:
    field = {
        "UPSTREAM_REMOTE_ADDRESS": "upstream",
        "UPSTREAM_LOCAL_ADDRESS": "upstream_local",
        "DOWNSTREAM_REMOTE_ADDRESS": "client",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": "direct",
        "DOWNSTREAM_LOCAL_ADDRESS": "local",
    }[name.removesuffix("_WITHOUT_PORT").removesuffix("_PORT")]
    show: Callable[[Address], str | int] = str
    if name.endswith("_WITHOUT_PORT"):
        show = _ip
    elif name.endswith("_PORT"):
        show = _port

    def get(record: Record) -> str | int | None:
        address: Address = getattr(record, field)
        return show(address) if address.ip else None

    return get


def _ip(address: Address) -> str:
    return address.ip


def _port(address: Address) -> int:
    return address.port


def _header(name: str, argument: str) -> Get:
    """``REQ(X?Y)``: header X, else header Y."""
    wanted = [part.strip().lower() for part in argument.split("?")]
    if name == "RESP":
        names = [part.encode() for part in wanted]
        return lambda record: _first(record.response, names)
    if name == "TRAILER":
        return lambda record: None
    getters = [_request_header(part) for part in wanted]
    if name == "REQ_WITHOUT_QUERY":
        getters = [_without_query(get) for get in getters]
    if len(getters) == 1:
        return getters[0]

    def get(record: Record) -> str | int | None:
        for getter in getters:
            value = getter(record)
            if value is not None:
                return value
        return None

    return get


_RBAC = re.compile(
    r"envoy\.filters\.(?:http|network)\.rbac:istio_dry_run_(allow|deny)_shadow_"
    r"(engine_result|effective_policy_id)"
)


def _metadata(argument: str) -> Get:
    """What Envoy's RBAC filter says of policies in dry run; nobody else says anything here."""
    found = _RBAC.fullmatch(argument)
    if found is None:
        return lambda record: None
    action, key = found.groups()

    def get(record: Record) -> str | int | None:
        for shadow in record.shadows:
            if shadow.action == action:
                return (shadow.result if key == "engine_result" else shadow.name) or None
        return None

    return get


def _without_query(get: Get) -> Get:
    return lambda record: str(get(record) or "").partition("?")[0] or None


def _first(head: RequestHead | ResponseHead | None, names: list[bytes]) -> str | None:
    if head is not None:
        for name in names:
            value = head.fields.get(name)
            if value is not None:
                return value.decode("utf-8", "replace")
    return None


def _request_header(name: str) -> Get:
    if name == ":path":
        # As it was asked: a rewrite does not touch the record's.
        return lambda record: record.path.decode("utf-8", "replace")
    if name in (":method", ":authority", ":scheme", "host"):
        field = "authority" if name == "host" else name[1:]

        def pseudo(record: Record) -> str | None:
            return getattr(record.request, field, b"").decode("latin-1") or None

        return pseudo
    names = [name.encode()]
    return lambda record: _first(record.request, names)


def _start_time(argument: str | None) -> Get:
    """``YYYY-MM-DDThh:mm:ss.mmmZ``, or strftime with ``%s``, ``%f``, ``%1f``…``%9f``."""
    if argument:
        return lambda record: _strftime(argument, record.wall)
    clock = Clock()
    return lambda record: clock.text(record.wall)


_THOUSANDTHS: Final = tuple(f".{number:03d}Z" for number in range(1000))


class Clock:
    """Seconds since the epoch as ``YYYY-MM-DDThh:mm:ss.mmmZ``; ``before`` stands in front.

    What is there down to the second is made once a second, and many requests begin in the same
    thousandth.
    """

    def __init__(self, before: str = "", after: str = "") -> None:
        self._before = before
        self._after = after
        self._second = -1
        self._prefix = ""
        self._last = -1
        self._text = ""

    def text(self, wall: float) -> str:
        thousandths = int(wall * 1000)
        if thousandths != self._last:
            second = thousandths // 1000
            if second != self._second:
                self._second = second
                self._prefix = self._before + time.strftime(
                    "%Y-%m-%dT%H:%M:%S", time.gmtime(second)
                )
            self._last = thousandths
            self._text = self._prefix + _THOUSANDTHS[thousandths - second * 1000] + self._after
        return self._text


def _strftime(spec: str, wall: float) -> str:
    nanoseconds = f"{int(wall % 1 * 1_000_000_000):09d}"
    spec = spec.replace("%s", str(int(wall))).replace("%f", nanoseconds)
    for digits in range(1, 10):
        spec = spec.replace(f"%{digits}f", nanoseconds[:digits])
    return time.strftime(spec, time.gmtime(wall))


def _grpc_number(record: Record) -> int | None:
    return record.grpc_status if record.grpc_status >= 0 else None


def _grpc_name(style: str | None) -> Get:
    def get(record: Record) -> str | int | None:
        number = record.grpc_status
        if not 0 <= number < len(_GRPC):
            return number if number >= 0 else None
        name = _GRPC[number]
        if style != "SNAKE_STRING":
            return name
        words = "".join("_" + c if c.isupper() and at else c for at, c in enumerate(name))
        return "OK" if name == "OK" else words.upper()

    return get
