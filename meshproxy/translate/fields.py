"""A mapping of a document, read field by field, with every fault reported where it stands.

A reader asks for each field by name and type; what is missing or wrong comes back as the default,
so that reading goes on and finds the rest. Names that were asked for are the ones that are known
here, and `Fields.close` reports all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from meshproxy.translate.durations import parse_duration
from meshproxy.translate.problems import (
    UNKNOWN_FIELD,
    UNSUPPORTED,
    Path,
    Report,
    did_you_mean,
)

_QUOTES = "put it in quotes"


class Fields:
    """One mapping: its values, where it stands, and which names have been asked for."""

    __slots__ = ("data", "known", "path", "report")

    def __init__(self, data: dict[str, Any], path: Path, report: Report) -> None:
        self.data = data
        self.path = path
        self.report = report
        self.known: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.data)

    def raw(self, name: str) -> Any:
        """The value as it was parsed; None where it is missing or null."""
        self.known.add(name)
        return self.data.get(name)

    def has(self, name: str) -> bool:
        self.known.add(name)
        return self.data.get(name) is not None

    def at(self, name: str) -> Path:
        return (*self.path, name)

    def error(self, name: str, text: str, mend: str = "") -> None:
        self.report.error(self.at(name), text, mend)

    def warn(self, name: str, text: str, mend: str = "", code: str = "") -> None:
        self.report.warn(self.at(name), text, mend, code)

    def text(self, name: str, default: str = "") -> str:
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, str):
            return value
        self._wrong(self.at(name), "text", value)
        return default

    def required(self, name: str, mend: str = "") -> str:
        """A text that must be there and not be empty."""
        value = self.text(name)
        if not value and (self.raw(name) is None or value == self.raw(name)):
            self.error(name, "is required", mend)
        return value

    def integer(self, name: str, default: int = 0, low: int = 0, high: int = 2**32 - 1) -> int:
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(self.at(name), "a whole number", value)
            return default
        if not low <= value <= high:
            self.error(name, f"{value} is not in {low}-{high}")
            return default
        return value

    def port(self, name: str, default: int = 0) -> int:
        return self.integer(name, default, 1, 65535)

    def any_port(self, name: str) -> int:
        """A port, or 0 for all of them."""
        return self.integer(name, 0, 0, 65535)

    def number(self, name: str, default: float = 0.0) -> float:
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            self._wrong(self.at(name), "a number", value)
            return default
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong(self.at(name), "true or false", value)
            return default
        return value

    def duration(self, name: str, default: float | None = None, least: float = 0.0) -> float | None:
        """Seconds; ``least`` is the shortest that is taken, and then they are whole milliseconds
        (Istio `ValidateDuration`)."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self._wrong(self.at(name), "a duration", value, "write it with its unit: 10s, 1m30s")
            return default
        try:
            seconds = parse_duration(value)
        except ValueError:
            self.error(name, f"{value!r} is not a duration", "write it as 10s, 500ms or 1m30s")
            return default
        if seconds < least:
            self.error(name, f"{value} is shorter than {least:g}s")
            return default
        if least and round(seconds * 1e9) % 1_000_000:
            self.error(name, f"{value} is no whole number of milliseconds")
            return default
        return seconds

    def choice(self, name: str, options: Iterable[str], default: str = "") -> str:
        """One of some words. An empty text is none of them, as the API server has it."""
        value = self.text(name, default)
        if value not in (known := list(options)) and self.raw(name) == value:
            self.error(name, f"{value!r} is not known", did_you_mean(value, known))
            return default
        return value

    def items(self, name: str) -> list[Any]:
        """A list, its elements as they were parsed."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._wrong(self.at(name), "a list", value, "begin each element with '- '")
            return []
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        found = []
        for at, value in enumerate(self.items(name)):
            if isinstance(value, str):
                found.append(value)
            else:
                self._wrong((*self.path, name, at), "text", value)
        return tuple(found)

    def mapping(self, name: str) -> Fields:
        """A mapping; an empty one where it is missing (see `has`)."""
        value = self.raw(name)
        if value is None:
            value = {}
        elif not isinstance(value, dict):
            self._wrong(self.at(name), "a mapping", value)
            value = {}
        return Fields(value, self.at(name), self.report)

    def mappings(self, name: str) -> Iterator[Fields]:
        """A list of mappings."""
        for at, value in enumerate(self.items(name)):
            path = (*self.path, name, at)
            if isinstance(value, dict):
                yield Fields(value, path, self.report)
            elif value is None:
                self.report.error(path, "the element is empty", "fill it in or remove it")
            else:
                self._wrong(path, "a mapping", value)

    def entries(self, name: str) -> Iterator[tuple[str, Any, Path]]:
        """A mapping with free keys: each key, its value, and its path."""
        value = self.raw(name)
        if value is None:
            return
        if not isinstance(value, dict):
            self._wrong(self.at(name), "a mapping", value)
            return
        for key, item in value.items():
            yield key, item, (*self.path, name, key)

    def words(self, name: str) -> dict[str, str]:
        """A mapping from text to text: labels, annotations, headers."""
        found: dict[str, str] = {}
        for key, value, path in self.entries(name):
            if isinstance(value, str):
                found[key] = value
            elif value is None:
                found[key] = ""
            else:
                self._wrong(path, "text", value)
        return found

    def one_of(self, names: Sequence[str], what: str) -> str:
        """The one of these fields that is set; "" if none is, an error if several are."""
        given = [name for name in names if self.has(name)]
        if len(given) > 1:
            self.error(
                given[1], f"{what} takes only one of {', '.join(given)}", "remove the others"
            )
        return given[0] if given else ""

    def later(self, *names: str) -> None:
        """Fields with a meaning in Istio that this build does not act on."""
        for name in names:
            if self.has(name) and self.data[name] not in ({}, [], "", False, 0):
                self.warn(
                    name, "is not implemented in this build and has no effect", "", UNSUPPORTED
                )

    def skip(self, *names: str) -> None:
        """Fields that rightly mean nothing to a sidecar."""
        self.known.update(names)

    def close(self) -> None:
        """Report every field that nobody asked for, once."""
        names = sorted(self.known)
        for name in [name for name in self.data if name not in self.known]:
            self.known.add(name)
            self.report.warn(
                (*self.path, name),
                "this field is not known and has no effect",
                did_you_mean(name, names),
                UNKNOWN_FIELD,
            )

    def read(self, name: str, reader: Callable[[Fields], None]) -> None:
        """Hand a mapping to a reader if it is there, and close it."""
        if self.has(name):
            inner = self.mapping(name)
            reader(inner)
            inner.close()

    def _wrong(self, path: Path, wanted: str, value: Any, mend: str = "") -> None:
        if wanted == "text" and not isinstance(value, (dict, list)):
            mend = _QUOTES
        self.report.error(path, f"must be {wanted}, is {_what(value)}", mend)


def _what(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return f"the text {value!r}"
