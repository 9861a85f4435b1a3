"""Where a piece of configuration came from, for messages and dumps."""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """A document: its file, the line it starts on, and the object it holds.

    Parts of the model carry it and are compared without it: a document that has moved down in its
    file still says the same, and nothing has to be sent or compiled anew.
    """

    file: str
    line: int
    kind: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        who = f" ({self.kind} {self.namespace}/{self.name})" if self.kind else ""
        return f"{self.file}:{self.line}{who}"


BUILT_IN = Origin("built-in", 0)
