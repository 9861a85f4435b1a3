"""Compiled CORS policies against their plain reference."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshproxy.model.route import Cors, MatchKind, StringMatch
from meshproxy.route.cors import compile_cors, reference_cors
from meshproxy.wire.heads import RequestHead, index

origins = st.sampled_from(["https://a", "https://b", "*", "", "null"])
matches = st.one_of(
    st.builds(StringMatch, st.sampled_from([MatchKind.EXACT, MatchKind.PREFIX]), origins),
    st.sampled_from([".*", "https://[a-z]", ""]).map(
        lambda text: StringMatch(MatchKind.REGEX, text)
    ),
)
lists = st.sampled_from(["", "*", "GET,PUT", "x-a"])
policies = st.builds(
    Cors,
    st.lists(matches, max_size=3).map(tuple),
    lists,
    lists,
    lists,
    st.sampled_from(["", "0", "60"]),
    st.booleans(),
    st.booleans(),
)


@st.composite
def requests(draw: st.DrawFn) -> RequestHead:
    pairs = []
    for name, values in (
        (b"Origin", origins),
        (b"access-control-request-method", st.sampled_from(["", "GET", "PUT"])),
        (b"Access-Control-Request-Headers", st.sampled_from(["", "x-a, x-b"])),
    ):
        value = draw(st.one_of(st.none(), values))
        if value is not None:
            pairs.append((name, value.encode()))
    method = draw(st.sampled_from([b"OPTIONS", b"GET"]))
    return RequestHead(method, b"/", b"shop", 11, pairs, index(pairs))


@given(policies, requests())
def test_a_policy(policy: Cors, head: RequestHead) -> None:
    assert compile_cors(policy)(head) == reference_cors(policy, head)
