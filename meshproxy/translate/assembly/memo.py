"""Remembers what was built from what, between one translation and the next.

Typed objects are kept for as long as their text is the same, so "nothing changed" is a comparison
of identities, and a part that need not be built anew need not be compared or sent anew either.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Values by key, each with the inputs it was made from; what is not asked for is forgotten.

    ``breathe`` is called at each value: a large configuration has thousands of them.
    """

    def __init__(self, breathe: Callable[[], object] = lambda: None) -> None:
        self.breathe = breathe
        self._old: dict[Hashable, tuple[tuple[Any, ...], Any]] = {}
        self._new: dict[Hashable, tuple[tuple[Any, ...], Any]] = {}

    def get(self, key: Hashable, inputs: tuple[Any, ...], make: Callable[[], T]) -> T:
        """The value for a key, made only if one of its inputs is another object than before."""
        self.breathe()
        known = self._old.get(key)
        if known is not None and _same(known[0], inputs):
            value: T = known[1]
        else:
            value = make()
        self._new[key] = (inputs, value)
        return value

    def turn(self) -> None:
        """One translation is over."""
        self._old, self._new = self._new, {}


def _same(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    if len(old) != len(new):
        return False
    for first, second in zip(old, new, strict=True):
        if first is not second and not _same_value(first, second):
            return False
    return True


def _same_value(first: Any, second: Any) -> bool:
    """Plain values and tuples are compared by what they hold, objects only by identity."""
    if isinstance(first, tuple) and type(first) is type(second):
        return _same(first, second)
    return isinstance(first, (str, int, float)) and type(first) is type(second) and first == second
