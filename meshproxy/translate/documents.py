"""Texts cut into objects, each parsed once however often the files are read again.

A file is cut at its ``---`` lines (which YAML reserves: no scalar may hold one), and each piece is
kept with its text as the key. A reload of a thousand documents with one edit parses one. Where a
document stands in its file is kept apart from what it says, so that an edit further up does not
make it a different one. A file that has not changed at all is not even cut again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from meshproxy.translate.problems import Finding, Path, Problem, Severity, show_path
from meshproxy.translate.yaml_text import BrokenText, line_of, load

_SEPARATOR = re.compile(r"^---(?=[ \t\r]|$)", re.MULTILINE)
_BLANK = re.compile(r"(?:[ \t\r]*(?:[#%][^\n]*)?(?:\n|\Z))*\Z")
_PIECE = 128 * 1024  # characters that are hashed in one go
_DEEPEST_LIST = 5  # a List inside a List inside a List…


class SourceText(NamedTuple):
    """What a source hands over: a file's name, as messages call it, and its text."""

    name: str
    text: str

    def __repr__(self) -> str:
        return f"SourceText({self.name!r})"


@dataclass(eq=False, slots=True)
class Raw:
    """One object as it was written.

    ``text`` is the piece it stands in, ``index`` the YAML document in that piece, ``path`` the
    place in that document (the items of a List). ``reading`` and ``origin`` are kept by whoever
    reads it, and says where it stands.
    """

    data: dict[str, Any] = field(repr=False)  # a Secret's is nobody's to see, nor its text
    text: str = field(repr=False)
    index: int = 0
    path: Path = ()
    line: int = 0
    reading: Any = None
    origin: Any = None
    _lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """The line, counted from 0 at the piece's start, of a field of this object."""
        if not path:
            return self.line
        found = self._lines.get(path)
        if found is None:
            found = self._lines[path] = line_of(self.text, self.index, self.path + path)
        return found


class Document(NamedTuple):
    """An object, its file, and the line (from 0) that its piece of text starts on."""

    file: str
    start: int
    raw: Raw

    @property
    def line(self) -> int:
        """The line, from 1, that the object's content starts on."""
        return self.start + self.raw.line + 1

    def problem(self, finding: Finding, subject: str = "") -> Problem:
        """A finding of this object with its place in the file."""
        line = self.start + self.raw.line_of(finding.path) + 1
        shown = show_path(finding.path)
        return Problem(
            finding.severity,
            self.file,
            line,
            shown,
            finding.text,
            finding.mend,
            subject,
            finding.code,
        )


@dataclass(eq=False, slots=True)
class _Piece:
    """What one piece of text holds: objects, or why it can't be read."""

    raws: list[Raw] = field(default_factory=list)
    findings: list[tuple[int, Finding]] = field(default_factory=list)


class _File(NamedTuple):
    """What one file's text, known by its hash, came to."""

    digest: bytes
    documents: list[Document]
    problems: list[Problem]
    pieces: dict[str, _Piece]


class Library:
    """Parses texts, and remembers those of the last reading.

    ``prepare`` is called with each new object: what reads it at once can let go of its data, so
    that the values of a thousand documents are never all there together. ``breathe`` is called
    between documents.
    """

    def __init__(
        self,
        prepare: Callable[[Raw], object] = lambda raw: None,
        breathe: Callable[[], object] = lambda: None,
    ) -> None:
        self._files: dict[str, _File] = {}
        self._pieces: dict[str, _Piece] = {}
        self._prepare = prepare
        self._breathe = breathe

    def read(self, sources: Iterable[SourceText]) -> tuple[list[Document], list[Problem]]:
        """All objects in the order they stand, and what is not readable as YAML objects."""
        documents: list[Document] = []
        problems: list[Problem] = []
        files: dict[str, _File] = {}
        pieces: dict[str, _Piece] = {}
        for source in sources:
            digest = self._digest(source.text)
            file = self._files.get(source.name)
            if file is None or file.digest != digest:
                file = self._cut(source, digest, pieces)
            files[source.name] = file
            pieces.update(file.pieces)
            documents += file.documents
            problems += file.problems
        self._files, self._pieces = files, pieces
        return documents, problems

    def _digest(self, text: str) -> bytes:
        found = sha256()
        for at in range(0, len(text), _PIECE):
            found.update(text[at : at + _PIECE].encode(errors="surrogatepass"))
            self._breathe()
        return found.digest()

    def _cut(self, source: SourceText, digest: bytes, others: dict[str, _Piece]) -> _File:
        """``others`` are the pieces of the files before it."""
        file = _File(digest, [], [], {})
        for start, text in split(source.text):
            self._breathe()
            piece = file.pieces.get(text) or others.get(text) or self._pieces.get(text)
            piece = piece or self._parse(text)
            file.pieces[text] = piece
            file.documents.extend(Document(source.name, start, raw) for raw in piece.raws)
            for line, finding in piece.findings:
                file.problems.append(_place(source.name, start + line, finding))
        return file

    def _parse(self, text: str) -> _Piece:
        piece = _parse(text)
        for raw in piece.raws:
            self._prepare(raw)
        return piece


def split(text: str) -> Iterator[tuple[int, str]]:
    """The pieces between ``---`` lines, each with the line (from 0) it starts on.

    What follows a marker on its own line (``--- # comment``) belongs to the piece after it.
    """
    text = text.removeprefix("\ufeff")
    line = start = 0
    for mark in (*_SEPARATOR.finditer(text), None):
        end = len(text) if mark is None else mark.start()
        piece = text[start:end]
        if piece and not _BLANK.match(piece):
            yield line, piece
        if mark is not None:
            line += text.count("\n", start, mark.end())
            start = mark.end()


def _place(file: str, line: int, finding: Finding) -> Problem:
    field_name = show_path(finding.path)
    return Problem(finding.severity, file, line + 1, field_name, finding.text, finding.mend)


def _parse(text: str) -> _Piece:
    piece = _Piece()
    try:
        loaded = load(text)
    except BrokenText as error:
        piece.findings.append((error.line, Finding(Severity.ERROR, (), error.text, error.mend)))
        return piece
    for index, (line, value, items) in enumerate(loaded):
        _add(piece, Raw(value, text, index, (), line), items)
    return piece


def _add(piece: _Piece, raw: Raw, lines: tuple[int, ...] = (), depth: int = 0) -> None:
    """One value of a piece: an object, or a List of them (any kind whose name ends so)."""
    if not isinstance(raw.data, dict):
        _refuse(piece, raw, "not a Kubernetes object", "it must be a mapping with apiVersion, kind")
        return
    kind, items = raw.data.get("kind"), raw.data.get("items")
    if "kind" not in raw.data and "apiVersion" not in raw.data:
        # Helm values and the like, in the same folder: no object, and not meant to be one.
        text = "neither kind nor apiVersion: skipped"
        piece.findings.append((raw.line, Finding(Severity.WARNING, raw.path, text)))
    elif not isinstance(kind, str) or not kind:
        _refuse(piece, raw, "the object has no kind", "say what it is: kind: Service")
    elif kind.endswith("List") and isinstance(items, list) and depth < _DEEPEST_LIST:
        for at, item in enumerate(items):
            line = lines[at] if at < len(lines) else raw.line
            path = (*raw.path, "items", at)
            _add(piece, Raw(item, raw.text, raw.index, path, line), depth=depth + 1)
    elif kind == "List" and not isinstance(items, list):
        # Taken for an empty one it would throw away all that was meant to be in it.
        _refuse(
            piece,
            raw,
            "a List has items, which are a list",
            "items: [{apiVersion: v1, kind: Service, …}]",
        )
    else:
        piece.raws.append(raw)


def _refuse(piece: _Piece, raw: Raw, text: str, mend: str) -> None:
    piece.findings.append((raw.line, Finding(Severity.ERROR, raw.path, text, mend)))
