"""Compiled connection rules against their plain reference."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.route.l4 import compile_l4, reference_l4

names = st.sampled_from(["a.example.com", "b.example.com", "example.com", "com", "x", ""])
patterns = st.sampled_from(["a.example.com", "*.example.com", "*.com", "*", "X", "example.com"])
subnets = st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "fd00::/8"])
rules = st.builds(
    TcpRoute,
    st.just((WeightedCluster("c"),)),
    subnets=st.lists(subnets, max_size=2).map(tuple),
    sni=st.lists(patterns, max_size=2).map(tuple),
)
addresses = st.sampled_from(["10.1.2.3", "10.1.2.4", "10.2.0.1", "192.0.2.1", "fd00::1", "::1"])


@settings(max_examples=400)
@given(st.lists(rules, max_size=6), addresses, names)
def test_a_choice(given_rules: list[TcpRoute], ip: str, name: str) -> None:
    chosen = compile_l4(given_rules, list(range(len(given_rules))))(ip, name)
    assert chosen == reference_l4(given_rules, ip, name)
