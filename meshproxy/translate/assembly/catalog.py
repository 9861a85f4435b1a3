"""All readable objects of one configuration, by kind, each once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from meshproxy.model.origin import Origin
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.documents import Document
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.problems import Finding, Problem, Severity
from meshproxy.translate.read import read_object

T = TypeVar("T")
Age = tuple[str, str, str]


class Entry(NamedTuple, Generic[T]):
    """A typed object and where it stands."""

    value: T
    document: Document
    origin: Origin


class _Shelf:
    """The objects of one file. A later one takes the place of an earlier one of its name, as with
    kubectl."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.problems: list[Problem] = []
        self.unread: list[Origin] = []
        self.entries: dict[type, dict[tuple[str, str], Entry[Any]]] = {}
        self.first: dict[tuple[str, str, str], Document] = {}
        self.last: dict[tuple[str, str, str], Document] = {}
        for document in documents:
            self._add(document)
        self.by_age: dict[type, list[tuple[Age, Entry[Any]]]] = {
            type_: sorted(((each.value.meta.age, each) for each in found.values()), key=_AGE)
            for type_, found in self.entries.items()
        }

    def _add(self, document: Document) -> None:
        reading = read_object(document.raw)
        self.problems += [
            document.problem(finding, reading.subject) for finding in reading.findings
        ]
        meta = reading.meta
        origin = _origin(document, meta)
        if reading.skipped:
            if any(finding.severity is Severity.WARNING for finding in reading.findings):
                self.unread.append(origin)
            return
        key = (meta.kind, meta.namespace, meta.name)
        if key in self.last:
            self.problems.append(_replaces(document, self.last[key], meta))
        self.first.setdefault(key, document)
        self.last[key] = document
        if reading.value is not None:
            entries = self.entries.setdefault(type(reading.value), {})
            entries.pop((meta.namespace, meta.name), None)
            entries[meta.namespace, meta.name] = Entry(reading.value, document, origin)


class Catalog:
    """Objects by type. ``problems`` are those of reading them, ``objects`` how many there were.

    What a file holds is kept while it has the same documents: nothing else looks at each of them.
    """

    def __init__(self, documents: Iterable[Document], memo: Memo) -> None:
        self.problems: list[Problem] = []
        self.objects = 0
        self.unread: list[Origin] = []
        self._entries: dict[type, dict[tuple[str, str], Entry[Any]]] = {}
        self._shelves: list[_Shelf] = []
        self._replaced: set[type] = set()
        self._by_age: dict[type, list[Entry[Any]]] = {}
        self._seen: dict[tuple[str, str, str], Document] = {}
        for file, group in groupby(documents, key=_FILE):
            found = tuple(group)
            self.objects += len(found)
            self._take(memo.get(("file", file), found, partial(_Shelf, found)))

    def all(self, type_: type[T]) -> list[Entry[T]]:
        """Objects of a type, the oldest first (see `Meta.age`)."""
        if type_ not in self._by_age:
            self._by_age[type_] = self._sorted(type_)
        return list(self._by_age[type_])

    def in_order(self, type_: type[T]) -> list[Entry[T]]:
        """Objects of a type as they were read."""
        return list(self._entries.get(type_, {}).values())

    def inputs(self, *types: type) -> tuple[Any, ...]:
        """All objects of these types and where they stand, as inputs of a `Memo.stage`."""
        entries: list[Entry[Any]] = []
        for type_ in types:
            entries += self.all(type_)
        return (*(entry.value for entry in entries), *(entry.origin for entry in entries))

    def get(self, type_: type[T], namespace: str, name: str) -> Entry[T] | None:
        return self._entries.get(type_, {}).get((namespace, name))

    def _take(self, shelf: _Shelf) -> None:
        """Of objects that several files have, the one of the last file counts."""
        self._shelves.append(shelf)
        self.problems += shelf.problems
        self.unread += shelf.unread
        again = shelf.first.keys() & self._seen.keys()
        for key, document in shelf.first.items() if again else ():
            if key in again:
                meta = document.raw.reading.meta
                self.problems.append(_replaces(document, self._seen[key], meta))
        self._seen.update(shelf.last)
        for type_, found in shelf.entries.items():
            known = self._entries.setdefault(type_, {})
            for name in found.keys() & known.keys():
                del known[name]
                self._replaced.add(type_)
            known.update(found)

    def _sorted(self, type_: type[T]) -> list[Entry[T]]:
        lists = [shelf.by_age[type_] for shelf in self._shelves if type_ in shelf.by_age]
        pairs = lists[0] if len(lists) == 1 else sorted(chain.from_iterable(lists), key=_AGE)
        if type_ in self._replaced:
            return [entry for _, entry in pairs if entry is self.get(type_, *_name(entry))]
        return [entry for _, entry in pairs]


_FILE = itemgetter(0)
_AGE = itemgetter(0)


def _name(entry: Entry[Any]) -> tuple[str, str]:
    meta: Meta = entry.value.meta
    return meta.namespace, meta.name


def _replaces(document: Document, earlier: Document, meta: Meta) -> Problem:
    text = f"replaces the object of the same name at {earlier.file}:{earlier.line}"
    finding = Finding(Severity.WARNING, ("metadata", "name"), text, "remove one of them")
    return document.problem(finding, str(meta))


def _origin(document: Document, meta: Meta) -> Origin:
    """The one of the last time if the object still stands there (see `Memo`)."""
    raw = document.raw
    known: Origin | None = raw.origin
    line = document.line
    if known is not None and known.line == line and known.file == document.file:
        return known
    raw.origin = origin = Origin(document.file, line, meta.kind, meta.namespace, meta.name)
    return origin
