"""Access-log lines from a format, compiled (Envoy's access logging documentation).

A line is written for every request, so a format is turned into one function: a single formatted
string is put together from the expressions below, and compiled once. Nothing of the format's own
text becomes source: it goes into the syntax tree as constants, and names of headers into a table.
A call for each operator would take twice as long.
`reference_line` is the plain form that tests hold the compiled one to.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any, Final

from meshproxy.base.addr import Address
from meshproxy.model.logformat import Operator, Piece, parse_format
from meshproxy.model.telemetry import AccessLog
from meshproxy.record import Record
from meshproxy.telemetry.operators import Get, compile_operator, start_time

Line = Callable[[Record], str]

_quote: Final[Callable[[str], str]] = encode_basestring

# Operators as expressions of `r` (the record), `q` and `a` (fields of request and answer).
_NUMBERS = {
    "BYTES_RECEIVED": "r.body_in",
    "BYTES_SENT": "r.body_out",
    "DOWNSTREAM_WIRE_BYTES_RECEIVED": "r.wire_in",
    "DOWNSTREAM_WIRE_BYTES_SENT": "r.wire_out",
    "DURATION": "r.duration_ms",
    "RESPONSE_CODE": "r.code",
}
_TEXTS = {
    "CONNECTION_TERMINATION_DETAILS": "r.termination",
    "PROTOCOL": "r.protocol",
    "REQUESTED_SERVER_NAME": "r.server_name",
    "RESPONSE_CODE_DETAILS": 'r.details.replace(" ", "_")',
    "RESPONSE_FLAGS": "r.flags",
    "ROUTE_NAME": "(r.route and r.route.name)",
    "UPSTREAM_CLUSTER": "(r.cluster and r.cluster.name)",
    "UPSTREAM_CLUSTER_RAW": "(r.cluster and r.cluster.name)",
    "UPSTREAM_TRANSPORT_FAILURE_REASON": 'r.transport_failure.replace(" ", "_")',
}
_ADDRESSES = {
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": "r.direct",
    "DOWNSTREAM_LOCAL_ADDRESS": "r.local",
    "DOWNSTREAM_REMOTE_ADDRESS": "r.client",
    "UPSTREAM_HOST": "r.upstream",
    "UPSTREAM_LOCAL_ADDRESS": "r.upstream_local",
    "UPSTREAM_REMOTE_ADDRESS": "r.upstream",
}
# Of these there are few: in JSON they are quoted once and then looked up.
_FEW = frozenset(
    {
        "CONNECTION_TERMINATION_DETAILS",
        "PROTOCOL",
        "REQUESTED_SERVER_NAME",
        "RESPONSE_CODE_DETAILS",
        "RESPONSE_FLAGS",
        "ROUTE_NAME",
        "UPSTREAM_CLUSTER",
        "UPSTREAM_CLUSTER_RAW",
        ":authority",
        ":method",
        "host",
        "user-agent",
        "x-envoy-upstream-service-time",
    }
)
_PSEUDO = {
    ":authority": "(r.request and r.request.authority)",
    ":method": "(r.request and r.request.method)",
    ":path": "r.path",
}


def compile_access_log(log: AccessLog, environment: Mapping[str, str]) -> Line:
    """A function from a finished record to its line, newline included.

    ``environment`` answers %ENVIRONMENT% and, under ``HOSTNAME``, %HOSTNAME%.
    """
    writer = _Writer(environment, bool(log.json))
    if log.json:
        for number, (key, text) in enumerate(log.json):
            writer.literal(f"{',' if number else '{'}{_quote(key)}:")
            writer.json_value(text)
        writer.literal("}\n")
    else:
        writer.text(parse_format(log.text))
        writer.literal("" if log.text.endswith("\n") else "\n")
    return writer.compile()


class _Writer:
    """Collects the parts of one formatted string."""

    def __init__(self, environment: Mapping[str, str], json: bool) -> None:
        self._environment = environment
        self._json = json
        self._parts: list[ast.expr] = []
        self._names: list[bytes] = []
        self._getters: list[Any] = []

    def literal(self, text: str) -> None:
        self._parts.append(ast.Constant(text))

    def text(self, pieces: tuple[Piece, ...]) -> None:
        for piece in pieces:
            if isinstance(piece, Operator):
                self._operator(piece)
            else:
                self.literal(piece)

    def json_value(self, text: str) -> None:
        """Numbers stay numbers where an operator is the whole value; what is not set is null."""
        pieces = parse_format(text)
        if len(pieces) == 1 and isinstance(pieces[0], Operator):
            self._operator(pieces[0])
            return
        line = _reference_text(pieces, self._environment)
        self._call(lambda record: _quote(line(record)))

    def compile(self) -> Line:
        made = ast.parse(f"def line(r):\n{_PROLOGUE}    return 0\n")
        function: Any = made.body[0]
        function.body[-1].value = ast.JoinedStr(self._parts)
        scope: dict[str, Any] = {
            "N": tuple(self._names),
            "G": tuple(self._getters),
            "Q": _quote,
            "T": _texts,
            "t": _json_text,
            "A": _addresses,
            "d": _json_address if self._json else _plain_address,
            "E": {},
        }
        exec(compile(ast.fix_missing_locations(made), "<access log>", "exec"), scope)
        line: Line = scope["line"]
        return line

    def _operator(self, operator: Operator) -> None:
        name, argument, length = operator
        if length:
            self._general(operator)
        elif name in _NUMBERS:
            self._value(_NUMBERS[name])
        elif name in _TEXTS:
            self._value(self._known(name, "v", _TEXTS[name]))
        elif name in _ADDRESSES:
            known = f"A.get(v := {_ADDRESSES[name]}) or d(v)"
            self._value(known if self._json else f"d({_ADDRESSES[name]})")
        elif name == "START_TIME" and not argument:
            self._getters.append(start_time())
            quote = '"' if self._json else ""
            self.literal(quote)
            self._value(f"G[{len(self._getters) - 1}](r.wall)")
            self.literal(quote)
        elif name in ("REQ", "RESP") and argument:
            self._header(name, argument, operator)
        else:
            self._general(operator)

    def _header(self, name: str, argument: str, operator: Operator) -> None:
        found = []
        parts = [part.strip().lower() for part in argument.split("?")]
        for wanted in parts:
            if name == "REQ" and (wanted in _PSEUDO or wanted == "host"):
                found.append(_PSEUDO[":authority" if wanted == "host" else wanted])
            elif wanted.startswith(":"):
                self._general(operator)
                return
            else:
                self._names.append(wanted.encode())
                fields = "q" if name == "REQ" else "a"
                found.append(f"{fields}.get(N[{len(self._names) - 1}])")
        text = 'v.decode("utf-8", "replace")'
        self._value(self._known(parts[0], text, " or ".join(found)))

    def _known(self, name: str, text: str, value: str) -> str:
        if self._json and name in _FEW:
            return f'(T.get(v) or t(v)) if (v := {value}) else "null"'
        return self._shown(text, value)

    def _shown(self, text: str, value: str) -> str:
        """An expression of what stands for a value, ``v`` being the name of one that is set."""
        shown, missing = (f"Q({text})", "null") if self._json else (text, "-")
        return f'{shown} if (v := {value}) else "{missing}"'

    def _general(self, operator: Operator) -> None:
        """Any operator, by the reference's getter."""
        get = compile_operator(operator, self._environment)
        self._call(lambda record: _shown(get(record), self._json))

    def _call(self, getter: Callable[[Record], object]) -> None:
        self._getters.append(getter)
        self._value(f"G[{len(self._getters) - 1}](r)")

    def _value(self, expression: str) -> None:
        value = ast.parse(f"({expression})", mode="eval").body
        self._parts.append(ast.FormattedValue(value, -1, None))


_PROLOGUE = """    q = r.request.fields if r.request is not None else E
    a = r.response.fields if r.response is not None else E
"""


_addresses: Final[dict[Address, str]] = {}
_MOST_ADDRESSES: Final = 4096


def _json_address(value: Address) -> str:
    """Each connection's addresses are written again and again; looking them up is faster."""
    text = _addresses.get(value)
    if text is None:
        if len(_addresses) >= _MOST_ADDRESSES:
            _addresses.clear()
        text = _addresses[value] = f'"{value}"' if value.ip else "null"
    return text


_texts: Final[dict[str | bytes, str]] = {}
_MOST_TEXTS: Final = 4096
_LONGEST_TEXT: Final = 256


def _json_text(value: str | bytes) -> str:
    """Quoted, and remembered: quoting a text costs three times as much as finding it."""
    text = _quote(value if isinstance(value, str) else value.decode("utf-8", "replace"))
    if len(value) <= _LONGEST_TEXT:
        if len(_texts) >= _MOST_TEXTS:
            _texts.clear()
        _texts[value] = text
    return text


def _plain_address(value: Address) -> str:
    return str(value) if value.ip else "-"


def _shown(value: str | int | None, json: bool) -> str | int:
    if value is None or value == "":
        return "null" if json else "-"
    return _quote(value) if json and isinstance(value, str) else value


# The reference.


def reference_line(log: AccessLog, environment: Mapping[str, str]) -> Line:
    """What `compile_access_log` must write, said plainly."""
    if not log.json:
        line = _reference_text(parse_format(log.text), environment)
        return lambda record: line(record).removesuffix("\n") + "\n"
    values = [(key, _reference_json(text, environment)) for key, text in log.json]

    def write(record: Record) -> str:
        return "{" + ",".join(f"{_quote(key)}:{value(record)}" for key, value in values) + "}\n"

    return write


def _reference_json(text: str, environment: Mapping[str, str]) -> Callable[[Record], str]:
    pieces = parse_format(text)
    if len(pieces) == 1 and isinstance(pieces[0], Operator):
        get: Get = compile_operator(pieces[0], environment)
        return lambda record: str(_shown(get(record), True))
    line = _reference_text(pieces, environment)
    return lambda record: _quote(line(record))


def _reference_text(pieces: tuple[Piece, ...], environment: Mapping[str, str]) -> Line:
    getters = [
        compile_operator(piece, environment) if isinstance(piece, Operator) else piece
        for piece in pieces
    ]

    def line(record: Record) -> str:
        return "".join(
            get if isinstance(get, str) else str(_shown(get(record), False)) for get in getters
        )

    return line
