"""Documents and who asks for them, to a snapshot: the room's way in.

`translate` is a function of its arguments. What it is handed as `Memory` only makes it quicker and
lets equal parts be the same objects: a `Translator` keeps one from reload to reload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from meshproxy.model.origin import Origin
from meshproxy.model.secret import Secret, SecretRef
from meshproxy.model.snapshot import Snapshot
from meshproxy.translate.assembly.catalog import Catalog
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.snapshot import SnapshotBuilder
from meshproxy.translate.documents import Document, Library, SourceText
from meshproxy.translate.options import Options
from meshproxy.translate.problems import Problem, Severity
from meshproxy.translate.read import read_object
from meshproxy.translate.yaml_text import forget_lines


@dataclass(frozen=True, slots=True)
class Translation:
    """``snapshot`` is None where a problem of severity error stands in the way.

    ``unread``: objects of the mesh's own kinds that this build does nothing with. ``secrets`` are
    those that clusters name by `SecretRef.credential`; one that is missing is not there.
    ``objects`` is how many there were to read, ``who`` says which workload this is, and how that is
    known.
    """

    snapshot: Snapshot | None
    problems: tuple[Problem, ...]
    unread: tuple[Origin, ...] = ()
    secrets: Mapping[SecretRef, Secret] = field(default_factory=dict)
    objects: int = 0
    who: str = ""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(each for each in self.problems if each.severity is Severity.ERROR)


Memory = Memo


def translate(
    documents: Iterable[Document],
    options: Options,
    memory: Memory | None = None,
    problems: Iterable[Problem] = (),
) -> Translation:
    """One snapshot for one workload, and every problem.

    ``problems`` are those of cutting the texts into documents: with an error among them there is no
    snapshot, but the documents are looked at all the same, so that all is said at once.
    """
    memo = Memo() if memory is None else memory
    catalog = Catalog(documents, memo)
    builder = SnapshotBuilder(catalog, options, memo)
    snapshot: Snapshot | None = builder.build()
    found = (*problems, *catalog.problems, *builder.remarks.problems)
    memo.turn()
    forget_lines()
    if any(problem.severity is Severity.ERROR for problem in found):
        snapshot = None
    return Translation(
        snapshot, found, tuple(catalog.unread), builder.secrets, catalog.objects, builder.who
    )


class Translator:
    """Reads and translates again and again, remembering what did not change.

    ``breathe`` is called every some microseconds of the work: others may want the processor.
    """

    def __init__(self, options: Options, breathe: Callable[[], object] = lambda: None) -> None:
        self._options = options
        self._library = Library(read_object, breathe)
        self._memory = Memo(breathe)

    def run(self, sources: Iterable[SourceText]) -> Translation:
        documents, problems = self._library.read(sources)
        return translate(documents, self._options, self._memory, problems)
