"""Compiled pieces by name, kept for as long as the model object each came from is the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

M = TypeVar("M")
P = TypeVar("P")


class Kept(Generic[M, P]):
    """``models`` and what was made of them, under the same names. Not changed once it is in use."""

    def __init__(self, models: Mapping[str, M], pieces: dict[str, P]) -> None:
        self.models = models
        self.pieces = pieces

    def turn(self, models: Mapping[str, M]) -> tuple[Kept[M, P], list[str], list[str]]:
        """The next ones, with the pieces that stay; names that it lacks yet; names that are gone.

        What it lacks are models that are new or not the object they were (their old piece is still
        there, to be replaced).
        """
        known = self.models
        fresh = [name for name, model in models.items() if known.get(name) is not model]
        gone = [name for name in self.pieces if name not in models]
        pieces = dict(self.pieces)
        for name in gone:
            del pieces[name]
        return Kept(models, pieces), fresh, gone
