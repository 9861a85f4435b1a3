"""Access-log lines from a format, compiled (Envoy's access logging documentation).

A line is written for every request, so a format becomes a row of parts that are fast at what most
lines hold. `reference_line` is the plain form that tests hold the compiled one to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from meshproxy.model.logformat import Operator, Piece, parse_format
from meshproxy.model.telemetry import AccessLog
from meshproxy.record import Record
from meshproxy.telemetry import log_parts as parts
from meshproxy.telemetry.log_parts import quote, shown
from meshproxy.telemetry.operators import Get, compile_operator

Line = Callable[[Record], str]

_NUMBERS: Final[Mapping[str, type[parts.Number]]] = {
    "BYTES_RECEIVED": parts.BytesReceived,
    "BYTES_SENT": parts.BytesSent,
    "DOWNSTREAM_WIRE_BYTES_RECEIVED": parts.WireBytesReceived,
    "DOWNSTREAM_WIRE_BYTES_SENT": parts.WireBytesSent,
    "DURATION": parts.Duration,
    "RESPONSE_CODE": parts.ResponseCode,
}
_TEXTS: Final[Mapping[str, type[parts.Text]]] = {
    "CONNECTION_TERMINATION_DETAILS": parts.Termination,
    "PROTOCOL": parts.Protocol,
    "REQUESTED_SERVER_NAME": parts.ServerName,
    "RESPONSE_CODE_DETAILS": parts.Details,
    "RESPONSE_FLAGS": parts.Flags,
    "ROUTE_NAME": parts.Route,
    "UPSTREAM_CLUSTER": parts.Cluster,
    "UPSTREAM_CLUSTER_RAW": parts.Cluster,
    "UPSTREAM_TRANSPORT_FAILURE_REASON": parts.TransportFailure,
}
_NO_BLANKS: Final = frozenset({"RESPONSE_CODE_DETAILS", "UPSTREAM_TRANSPORT_FAILURE_REASON"})
_ADDRESSES: Final[Mapping[str, type[parts.AddressText]]] = {
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": parts.Direct,
    "DOWNSTREAM_LOCAL_ADDRESS": parts.Local,
    "DOWNSTREAM_REMOTE_ADDRESS": parts.Client,
    "UPSTREAM_HOST": parts.Upstream,
    "UPSTREAM_LOCAL_ADDRESS": parts.UpstreamLocal,
    "UPSTREAM_REMOTE_ADDRESS": parts.Upstream,
}
_PATH: Final = ":path"
_HOST: Final = frozenset({":authority", "host"})
# Header fields of which a caller sends few values, or the mesh has few.
_FEW: Final = frozenset({"user-agent", "x-envoy-upstream-service-time"})


def compile_access_log(log: AccessLog, environment: Mapping[str, str]) -> LineWriter:
    """What makes a line of a finished record, newline included.

    ``environment`` answers %ENVIRONMENT% and, under ``HOSTNAME``, %HOSTNAME%.
    """
    writer = LineWriter(environment, bool(log.json))
    if log.json:
        for number, (key, text) in enumerate(log.json):
            writer.literal(f"{',' if number else '{'}{quote(key)}:")
            writer.json_value(text)
        writer.literal("}\n")
    else:
        writer.text(parse_format(log.text))
        writer.literal("" if log.text.endswith("\n") else "\n")
    return writer


class LineWriter:
    """A format, once all of it has been told."""

    def __init__(self, environment: Mapping[str, str], json: bool) -> None:
        self._environment = environment
        self._json = json
        self._before = ""  # text of the format that no part has yet
        self._parts: list[parts.Part] = []

    def line(self, record: Record) -> str:
        made = [part.text(record) for part in self._parts]
        made.append(self._before)
        return "".join(made)

    def literal(self, text: str) -> None:
        self._before += text

    def text(self, pieces: tuple[Piece, ...]) -> None:
        for piece in pieces:
            if isinstance(piece, Operator):
                self._add(self._part(piece))
            else:
                self.literal(piece)

    def json_value(self, text: str) -> None:
        """Numbers stay numbers where an operator is the whole value; what is not set is null."""
        pieces = parse_format(text)
        if len(pieces) == 1 and isinstance(pieces[0], Operator):
            self._add(self._part(pieces[0]))
            return
        line = _reference_text(pieces, self._environment)
        self._add(parts.Quoted(self._before, line))

    def _add(self, part: parts.Part) -> None:
        self._parts.append(part)
        self._before = ""

    def _part(self, operator: Operator) -> parts.Part:
        name, argument, length = operator
        before, json = self._before, self._json
        if not length:
            if name in _NUMBERS:
                return _NUMBERS[name](before)
            if name in _TEXTS:
                return _TEXTS[name](before, json, name in _NO_BLANKS)
            if name in _ADDRESSES:
                return _ADDRESSES[name](before, json)
            if name == "START_TIME" and not argument:
                return parts.StartTime(before, json)
            if name in ("REQ", "RESP") and argument:
                found = self._field(name, [part.strip().lower() for part in argument.split("?")])
                if found is not None:
                    return found
        return parts.General(before, json, compile_operator(operator, self._environment))

    def _field(self, name: str, wanted: list[str]) -> parts.Part | None:
        """None: nothing special is known of it."""
        before, json = self._before, self._json
        first = wanted[0]
        names = [part.encode() for part in wanted]
        if name == "RESP":
            return parts.ResponseLine(before, json, first in _FEW, names)
        if len(wanted) == 1 and first in _HOST:
            return parts.Authority(before, json, True)
        if len(wanted) == 1 and first == ":method":
            return parts.Method(before, json, True)
        path = wanted[-1] == _PATH
        if path:
            names.pop()
        if any(part.startswith(b":") or part == b"host" for part in names):
            return None
        return parts.RequestLine(before, json, first in _FEW, names, path)


# The reference.


def reference_line(log: AccessLog, environment: Mapping[str, str]) -> Line:
    """What `compile_access_log` must write, said plainly."""
    if not log.json:
        line = _reference_text(parse_format(log.text), environment)
        return lambda record: line(record).removesuffix("\n") + "\n"
    values = [(key, _reference_json(text, environment)) for key, text in log.json]

    def write(record: Record) -> str:
        return "{" + ",".join(f"{quote(key)}:{value(record)}" for key, value in values) + "}\n"

    return write


def _reference_json(text: str, environment: Mapping[str, str]) -> Callable[[Record], str]:
    pieces = parse_format(text)
    if len(pieces) == 1 and isinstance(pieces[0], Operator):
        get: Get = compile_operator(pieces[0], environment)
        return lambda record: shown(get(record), True)
    line = _reference_text(pieces, environment)
    return lambda record: quote(line(record))


def _reference_text(pieces: tuple[Piece, ...], environment: Mapping[str, str]) -> Line:
    getters = [
        compile_operator(piece, environment) if isinstance(piece, Operator) else piece
        for piece in pieces
    ]

    def line(record: Record) -> str:
        return "".join(
            get if isinstance(get, str) else shown(get(record), False) for get in getters
        )

    return line
