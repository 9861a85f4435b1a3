"""Which endpoint takes the next request (Istio `LoadBalancerSettings.simple`).

Each ``compile_*`` returns a function that is called for every request; None means that there is
nothing to choose from. Balancers see only this worker's counts, as Envoy's do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import gcd

from meshproxy.cluster.endpoints import EndpointState
from meshproxy.model.cluster import Balance

Pick = Callable[[], EndpointState | None]
Draw = Callable[[], float]


def compile_balancer(balance: Balance, states: Sequence[EndpointState], draw: Draw) -> Pick:
    """``draw`` gives floats in ``[0, 1)``."""
    if not states:
        return lambda: None
    if len(states) == 1:
        only = states[0]
        return lambda: only
    if balance is Balance.ROUND_ROBIN:
        return _round_robin(states, draw)
    choose = _weighted_draw(states, draw)
    if balance is Balance.RANDOM:
        return choose
    return _least_request(choose)


def _weighted_draw(states: Sequence[EndpointState], draw: Draw) -> Callable[[], EndpointState]:
    weights = [state.weight for state in states]
    if len(set(weights)) == 1:
        count = len(states)
        return lambda: states[int(draw() * count)]
    bounds = list(accumulate(weights))
    total = bounds[-1]
    return lambda: states[bisect_right(bounds, draw() * total)]


def _least_request(choose: Callable[[], EndpointState]) -> Pick:
    """The less busy of two drawn at random ("power of two choices", Envoy's `choice_count` 2)."""

    def pick() -> EndpointState:
        first, second = choose(), choose()
        # Compared across: active per weight without a division.
        return second if second.active * first.weight < first.active * second.weight else first

    return pick


def _round_robin(states: Sequence[EndpointState], draw: Draw) -> Pick:
    """Smooth weighted turns, starting at random so that workers do not march in step."""
    order = _turns([state.weight for state in states])
    count = len(order)
    at = int(draw() * count)

    def pick() -> EndpointState:
        nonlocal at
        at = (at + 1) % count
        return states[order[at]]

    return pick


_MOST_TURNS = 2_000  # a cycle longer than this is approximated: making it costs turns * endpoints


def _turns(weights: Sequence[int]) -> list[int]:
    """One cycle of indices in which each appears ``weight`` times, spread evenly.

    Each turn everybody gains its weight and the richest pays the sum (nginx's smooth algorithm).
    """
    divisor = gcd(*weights)
    weights = [weight // divisor for weight in weights]
    total = sum(weights)
    if total > _MOST_TURNS:
        weights = [max(1, weight * _MOST_TURNS // total) for weight in weights]
        total = sum(weights)
    if total <= len(weights):
        return list(range(len(weights)))
    credit = [0] * len(weights)
    order = []
    for _ in range(total):
        for at, weight in enumerate(weights):
            credit[at] += weight
        richest = max(range(len(weights)), key=credit.__getitem__)
        credit[richest] -= total
        order.append(richest)
    return order
