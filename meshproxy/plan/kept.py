"""Compiled pieces by name, kept for as long as the model object each came from is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

M = TypeVar("M")
P = TypeVar("P")


class Kept(Generic[M, P]):
    """``models`` and what was made of them, under the same names. Not changed once it is in use."""

    def __init__(self, models: Mapping[str, M], pieces: dict[str, P]) -> None:
        self.models = models
        self.pieces = pieces

    def fresh(self, models: Mapping[str, M]) -> list[str]:
        """Names of models that are new or not the object they were."""
        known = self.models
        return [name for name, model in models.items() if known.get(name) is not model]

    def gone(self, models: Mapping[str, M]) -> list[str]:
        """Names that there are no more."""
        return [name for name in self.pieces if name not in models]

    def successor(self, models: Mapping[str, M], gone: Iterable[str]) -> Kept[M, P]:
        """With the pieces that stay, to be filled with what is made of the fresh ones."""
        pieces = dict(self.pieces)
        for name in gone:
            del pieces[name]
        return Kept(models, pieces)
