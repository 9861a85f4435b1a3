"""Who gets the next request."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from meshproxy.base.addr import ServerAddr
from meshproxy.cluster.balance import compile_balancer
from meshproxy.cluster.endpoints import EndpointState
from meshproxy.model.cluster import Balance
from tests.support.fakes import Draws


def states(*weights: int) -> list[EndpointState]:
    made = [EndpointState("c", ServerAddr(f"10.0.0.{n}", 80), 10) for n in range(len(weights))]
    for state, weight in zip(made, weights, strict=True):
        state.weight = weight
    return made


def shares(balance: Balance, weights: tuple[int, ...], count: int = 6000) -> list[float]:
    pool = states(*weights)
    pick = compile_balancer(balance, pool, random.Random(7).random)
    seen = Counter(id(pick()) for _ in range(count))
    return [seen[id(state)] / count for state in pool]


@pytest.mark.parametrize("balance", [b for b in Balance if b is not Balance.PASSTHROUGH])
def test_none_and_one(balance: Balance) -> None:
    assert compile_balancer(balance, [], Draws())() is None
    (only,) = states(1)
    assert compile_balancer(balance, [only], Draws())() is only


@pytest.mark.parametrize("weights", [(1, 1, 1), (3, 1), (10, 5, 5), (100, 300)])
@pytest.mark.parametrize("balance", [Balance.ROUND_ROBIN, Balance.RANDOM, Balance.LEAST_REQUEST])
def test_shares_follow_weights(balance: Balance, weights: tuple[int, ...]) -> None:
    wanted = [weight / sum(weights) for weight in weights]
    assert shares(balance, weights) == pytest.approx(wanted, abs=0.03)


def test_round_robin_takes_turns() -> None:
    pool = states(1, 1, 1)
    pick = compile_balancer(Balance.ROUND_ROBIN, pool, Draws(0.0))
    assert [pool.index(pick()) for _ in range(6)] == [1, 2, 0, 1, 2, 0]  # type: ignore[arg-type]


def test_round_robin_spreads_a_heavy_endpoint() -> None:
    pool = states(5, 1, 1)
    pick = compile_balancer(Balance.ROUND_ROBIN, pool, Draws(0.0))
    turns = [pool.index(pick()) for _ in range(7)]  # type: ignore[arg-type]
    assert Counter(turns) == {0: 5, 1: 1, 2: 1}
    assert "0, 0, 0, 0" not in str(turns)


def test_the_less_busy_of_two() -> None:
    pool = states(1, 1)
    pool[0].active = 5
    pick = compile_balancer(Balance.LEAST_REQUEST, pool, Draws(0.0, 0.99))
    assert pick() is pool[1]
    pool[1].active = 9
    assert pick() is pool[0]


def test_busy_is_seen_in_relation_to_weight() -> None:
    pool = states(4, 1)
    pool[0].active, pool[1].active = 3, 1
    pick = compile_balancer(Balance.LEAST_REQUEST, pool, Draws(0.0, 0.99))
    assert pick() is pool[0]


def test_many_uneven_weights_are_cheap_to_prepare() -> None:
    pool = states(*range(1, 400))
    pick = compile_balancer(Balance.ROUND_ROBIN, pool, Draws(0.0))
    assert len({id(pick()) for _ in range(5000)}) == 399
