"""Which destination of a weighted split: a draw against the running sum of the weights."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


def compile_split(weights: Sequence[int], targets: Sequence[T]) -> Callable[[float], T]:
    """A function from a draw in ``[0, 1)`` to a target, each with its share of the sum.

    A weight of 0 gets nothing; where all are 0 the first target gets all.
    """
    bounds = list(accumulate(weights))
    total = bounds[-1]
    if not total:
        return lambda draw: targets[0]
    return lambda draw: targets[bisect_right(bounds, draw * total)]


def reference_split(weights: Sequence[int], draw: float) -> int:
    """The index that `compile_split` must choose, said plainly."""
    point = draw * sum(weights)
    for at, weight in enumerate(weights):
        if point < weight:
            return at
        point -= weight
    return 0
