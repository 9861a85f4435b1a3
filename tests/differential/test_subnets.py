"""Compiled subnets against the plain reference."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshproxy.base.addr import Address
from meshproxy.plan.subnets import Subnet, compile_subnets, reference_subnets

# Few bits that differ, so that subnets lie inside of each other.
v4 = st.builds("10.{}.{}.0".format, st.integers(0, 3), st.sampled_from((0, 64, 128)))
v6 = st.builds("fd00:{}::".format, st.integers(0, 3))
cidrs = st.one_of(
    st.builds("{}/{}".format, v4, st.integers(0, 31)),
    st.builds("{}/{}".format, v6, st.integers(0, 127)),
)
subnets = st.builds(Subnet, cidrs, st.sampled_from((80, 81)))
addresses = st.builds(Address, v4 | v6, st.sampled_from((80, 81)))


@given(st.lists(subnets, max_size=8), st.lists(addresses, min_size=1, max_size=4))
def test_the_same_chain(given_subnets: list[Subnet], asked: list[Address]) -> None:
    chains = [(subnet, at) for at, subnet in enumerate(given_subnets)]
    find = compile_subnets(chains)
    for address in asked:
        assert find(address) == reference_subnets(chains, address)
