"""All readable objects of one configuration, by kind, each once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from meshproxy.model.origin import Origin
from meshproxy.translate.documents import Document
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.problems import Finding, Problem, Severity
from meshproxy.translate.read import Reading, read_object

T = TypeVar("T")


class Entry(NamedTuple, Generic[T]):
    """A typed object and where it stands."""

    value: T
    document: Document
    origin: Origin


class Catalog:
    """Objects by type. ``problems`` are those of reading them."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.problems: list[Problem] = []
        self.unread: list[Origin] = []
        self._entries: dict[type, dict[tuple[str, str], Entry[Any]]] = {}
        self._seen: dict[tuple[str, str, str], Document] = {}
        for document in documents:
            self._add(document, read_object(document.raw))

    def all(self, type_: type[T]) -> list[Entry[T]]:
        """Objects of a type, the oldest first (see `Meta.age`)."""
        entries: list[Entry[T]] = list(self._entries.get(type_, {}).values())
        entries.sort(key=_age)
        return entries

    def in_order(self, type_: type[T]) -> list[Entry[T]]:
        """Objects of a type as they were read."""
        return list(self._entries.get(type_, {}).values())

    def get(self, type_: type[T], namespace: str, name: str) -> Entry[T] | None:
        return self._entries.get(type_, {}).get((namespace, name))

    def _add(self, document: Document, reading: Reading) -> None:
        self.problems += [
            document.problem(finding, reading.subject) for finding in reading.findings
        ]
        meta = reading.meta
        origin = Origin(document.file, document.line, meta.kind, meta.namespace, meta.name)
        if reading.skipped:
            if any(finding.severity is Severity.WARNING for finding in reading.findings):
                self.unread.append(origin)
            return
        self._warn_replaced(document, meta)
        value = reading.value
        if value is not None:
            # A later object of the same name takes the place of the earlier one, as with kubectl.
            entries = self._entries.setdefault(type(value), {})
            entries.pop((meta.namespace, meta.name), None)
            entries[(meta.namespace, meta.name)] = Entry(value, document, origin)

    def _warn_replaced(self, document: Document, meta: Meta) -> None:
        key = (meta.kind, meta.namespace, meta.name)
        earlier = self._seen.get(key)
        self._seen[key] = document
        if earlier is not None:
            text = f"replaces the object of the same name at {earlier.file}:{earlier.line}"
            finding = Finding(Severity.WARNING, ("metadata", "name"), text, "remove one of them")
            self.problems.append(document.problem(finding, str(meta)))


def _age(entry: Entry[Any]) -> tuple[str, str, str]:
    age: tuple[str, str, str] = entry.value.meta.age
    return age
