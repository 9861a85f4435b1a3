"""Remembers what was built from what, between one translation and the next.

Typed objects are kept for as long as their text is the same, so "nothing changed" is a comparison
of identities, and a part that need not be built anew need not be compared or sent anew either.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import is_
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
Inputs = tuple[Any, ...]


class _Kept(NamedTuple):
    """A value, what it was made from, and what that in turn came from (see `Memo.get`)."""

    inputs: Inputs
    value: Any
    sources: Inputs | None = None


class _Stage(NamedTuple):
    inputs: Inputs
    value: Any
    inner: Memo


class Memo:
    """Values by key, each with the inputs it was made from; what is not asked for is forgotten.

    ``breathe`` is called at each value: a large configuration has thousands of them.
    """

    def __init__(self, breathe: Callable[[], object] = lambda: None) -> None:
        self.breathe = breathe
        self._old: dict[Hashable, _Kept] = {}
        self._new: dict[Hashable, _Kept] = {}
        self._old_stages: dict[Hashable, _Stage] = {}
        self._new_stages: dict[Hashable, _Stage] = {}

    def get(self, key: Hashable, inputs: Inputs, make: Callable[[], T]) -> T:
        """The value for a key, made only if one of its inputs is another object than before."""
        self.breathe()
        known = self._new.get(key) or self._old.get(key)
        if known is not None and _same(known.inputs, inputs):
            value: T = known.value
        else:
            value = make()
        self._new[key] = _Kept(inputs, value)
        return value

    def derived(
        self,
        key: Hashable,
        sources: Inputs,
        inputs: Callable[[], Inputs],
        make: Callable[[], T],
    ) -> T:
        """As `get`, where finding out the inputs costs something too.

        They are a function of ``sources``, and not asked for while those are the same objects. Some
        sources change often and make no difference to most values: then the inputs decide.
        """
        self.breathe()
        known = self._new.get(key) or self._old.get(key)
        if known is not None and known.sources is not None and _same(known.sources, sources):
            self._new[key] = known
            value: T = known.value
            return value
        found = inputs()
        value = known.value if known is not None and _same(known.inputs, found) else make()
        self._new[key] = _Kept(found, value, sources)
        return value

    def stage(self, key: Hashable, inputs: Inputs, make: Callable[[Memo], T]) -> T:
        """A value that is put together of many, which are kept in a memory of its own.

        While its inputs are the same objects nothing inside is looked at, and nothing forgotten.
        """
        known = self._new_stages.get(key) or self._old_stages.get(key)
        if known is not None and _same(known.inputs, inputs):
            self._new_stages[key] = known
            value: T = known.value
            return value
        inner = Memo(self.breathe) if known is None else known.inner
        value = make(inner)
        inner.turn()
        self._new_stages[key] = _Stage(inputs, value, inner)
        return value

    def turn(self) -> None:
        """One translation is over."""
        self._old, self._new = self._new, {}
        self._old_stages, self._new_stages = self._new_stages, {}


def _same(old: Inputs, new: Inputs) -> bool:
    if len(old) != len(new):
        return False
    if all(map(is_, old, new)):  # what it nearly always comes to, without a loop of our own
        return True
    for first, second in zip(old, new, strict=True):
        if first is not second and not _same_value(first, second):
            return False
    return True


def _same_value(first: Any, second: Any) -> bool:
    """Plain values and tuples are compared by what they hold, objects only by identity."""
    if isinstance(first, tuple) and type(first) is type(second):
        return _same(first, second)
    return isinstance(first, (str, int, float)) and type(first) is type(second) and first == second
