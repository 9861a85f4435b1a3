"""What an access-log line is put together from: one part for each operator of the format.

A line is written for every request, and most of what it says was said before: a part remembers what
it made of the values that come again and again (a cluster's name, a status, an address), together
with the format's own text in front of it. So a line is some lookups and one join.
"""

from __future__ import annotations

from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Final

from meshproxy.base.addr import Address
from meshproxy.record import Record
from meshproxy.telemetry.operators import Clock, Get

quote: Final[Callable[[str], str]] = encode_basestring

# Of one part: values come from callers.
_MOST_REMEMBERED: Final = 512
_LONGEST_REMEMBERED: Final = 256


def shown(value: str | int | None, json: bool) -> str:
    """A value as it stands in a line; numbers are not quoted."""
    if value is None or value == "":
        return "null" if json else "-"
    return quote(value) if json and isinstance(value, str) else str(value)


class Part:
    """A piece of a line: ``before``, which is the format's own text, and what the record says."""

    def __init__(self, before: str) -> None:
        self.before = before

    def text(self, record: Record) -> str:
        """By itself the format's own text alone."""
        return self.before


class General(Part):
    """Any operator, by its getter."""

    def __init__(self, before: str, json: bool, get: Get) -> None:
        super().__init__(before)
        self._json = json
        self._get = get

    def text(self, record: Record) -> str:
        return self.before + shown(self._get(record), self._json)


class Quoted(Part):
    """A text of several operators as one JSON string."""

    def __init__(self, before: str, line: Callable[[Record], str]) -> None:
        super().__init__(before)
        self._line = line

    def text(self, record: Record) -> str:
        return self.before + quote(self._line(record))


class StartTime(Part):
    def __init__(self, before: str, json: bool) -> None:
        super().__init__(before)
        around = '"' if json else ""
        self._clock = Clock(before + around, around)

    def text(self, record: Record) -> str:
        return self._clock.text(record.wall)


# Numbers.


class Number(Part):
    """A whole number that is always there."""

    def __init__(self, before: str) -> None:
        super().__init__(before)
        self._known: dict[int, str] = {}

    def number(self, record: Record) -> int:
        raise NotImplementedError

    def text(self, record: Record) -> str:
        value = self.number(record)
        known = self._known.get(value)
        if known is None:
            known = self.before + str(value)
            if len(self._known) < _MOST_REMEMBERED:
                self._known[value] = known
        return known


class BytesReceived(Number):
    def number(self, record: Record) -> int:
        return record.body_in


class BytesSent(Number):
    def number(self, record: Record) -> int:
        return record.body_out


class WireBytesReceived(Number):
    def number(self, record: Record) -> int:
        return record.wire_in


class WireBytesSent(Number):
    def number(self, record: Record) -> int:
        return record.wire_out


class Duration(Number):
    def number(self, record: Record) -> int:
        return record.duration_ms


class ResponseCode(Number):
    def number(self, record: Record) -> int:
        return record.code


# Texts of the record.


class Text(Part):
    """A text of which there are few; ``blanks``: whether it may have blanks, which become ``_``."""

    def __init__(self, before: str, json: bool, blanks: bool = False) -> None:
        super().__init__(before)
        self._json = json
        self._blanks = blanks
        self._known: dict[str, str] = {}

    def value(self, record: Record) -> str:
        raise NotImplementedError

    def text(self, record: Record) -> str:
        value = self.value(record)
        known = self._known.get(value)
        if known is None:
            made = value.replace(" ", "_") if self._blanks else value
            known = self.before + shown(made, self._json)
            if len(self._known) < _MOST_REMEMBERED and len(value) <= _LONGEST_REMEMBERED:
                self._known[value] = known
        return known


class Cluster(Text):
    def value(self, record: Record) -> str:
        cluster = record.cluster
        return "" if cluster is None else cluster.name


class Details(Text):
    def value(self, record: Record) -> str:
        return record.details


class Flags(Text):
    def value(self, record: Record) -> str:
        return record.flags


class Protocol(Text):
    def value(self, record: Record) -> str:
        return record.protocol


class Route(Text):
    def value(self, record: Record) -> str:
        route = record.route
        return "" if route is None else route.name


class ServerName(Text):
    def value(self, record: Record) -> str:
        return record.server_name


class Termination(Text):
    def value(self, record: Record) -> str:
        return record.termination


class TransportFailure(Text):
    def value(self, record: Record) -> str:
        return record.transport_failure


# Addresses.


class AddressText(Part):
    """An IP address and port; each connection's comes again with each of its requests."""

    def __init__(self, before: str, json: bool) -> None:
        super().__init__(before)
        self._json = json
        self._known: dict[Address, str] = {}

    def address(self, record: Record) -> Address:
        raise NotImplementedError

    def text(self, record: Record) -> str:
        value = self.address(record)
        known = self._known.get(value)
        if known is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            known = self.before + shown(str(value) if value.ip else None, self._json)
            self._known[value] = known
        return known


class Client(AddressText):
    def address(self, record: Record) -> Address:
        return record.client


class Direct(AddressText):
    def address(self, record: Record) -> Address:
        return record.direct


class Local(AddressText):
    def address(self, record: Record) -> Address:
        return record.local


class Upstream(AddressText):
    def address(self, record: Record) -> Address:
        return record.upstream


class UpstreamLocal(AddressText):
    def address(self, record: Record) -> Address:
        return record.upstream_local


# Heads.


class Line(Part):
    """A value of a head, the first that is there; ``few``: whether it comes again and again."""

    def __init__(self, before: str, json: bool, few: bool) -> None:
        super().__init__(before)
        self._json = json
        self._missing = before + shown(None, json)
        self._few = few
        self._known: dict[bytes, str] = {}

    def value(self, record: Record) -> bytes | None:
        raise NotImplementedError

    def text(self, record: Record) -> str:
        value = self.value(record)
        if not value:
            return self._missing
        if not self._few:
            return self._made(value)
        known = self._known.get(value)
        if known is None:
            known = self._made(value)
            if len(self._known) < _MOST_REMEMBERED and len(value) <= _LONGEST_REMEMBERED:
                self._known[value] = known
        return known

    def _made(self, value: bytes) -> str:
        text = value.decode("utf-8", "replace")
        return self.before + (quote(text) if self._json else text)


class Method(Line):
    def value(self, record: Record) -> bytes | None:
        request = record.request
        return None if request is None else request.method


class Authority(Line):
    def value(self, record: Record) -> bytes | None:
        request = record.request
        return None if request is None else request.authority


class RequestLine(Line):
    """``names``: the first of these header fields; ``else_path``: or the path as it was asked."""

    def __init__(
        self, before: str, json: bool, few: bool, names: list[bytes], else_path: bool
    ) -> None:
        super().__init__(before, json, few)
        self._names = names
        self._else_path = else_path

    def value(self, record: Record) -> bytes | None:
        request = record.request
        if request is not None:
            fields = request.fields
            for name in self._names:
                value = fields.get(name)
                if value is not None:
                    return value
        return record.path if self._else_path else None


class ResponseLine(Line):
    def __init__(self, before: str, json: bool, few: bool, names: list[bytes]) -> None:
        super().__init__(before, json, few)
        self._names = names

    def value(self, record: Record) -> bytes | None:
        response = record.response
        if response is not None:
            fields = response.fields
            for name in self._names:
                value = fields.get(name)
                if value is not None:
                    return value
        return None
