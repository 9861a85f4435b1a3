"""Compiled routing against its plain reference, on generated rules and requests."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.model.route import (
    Forward,
    HeaderMatch,
    MatchKind,
    Route,
    RouteMatch,
    StringMatch,
    WeightedCluster,
)
from meshproxy.route.match import compile_match, reference_match
from meshproxy.route.split import compile_split, reference_split
from meshproxy.route.table import compile_routes, reference_routes
from meshproxy.wire.heads import RequestHead, index

segments = st.sampled_from(["", "a", "b", "api", "apix", "v1", "A", "x y"])
paths = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts))
queries = st.sampled_from(["", "?a=1", "?a=2&b", "?b=&a=1", "?a=/api"])
words = st.sampled_from(["", "1", "2", "one", "One", "on"])

string_matches = st.builds(
    StringMatch,
    st.sampled_from([MatchKind.EXACT, MatchKind.PREFIX]),
    words,
    st.booleans(),
)
regexes = st.sampled_from(["/a.*", "/(api|b)/v[0-9]", ".*", "/A", "[^/]*"]).map(
    lambda text: StringMatch(MatchKind.REGEX, text)
)
path_matches = st.one_of(
    st.none(),
    st.builds(
        StringMatch, st.sampled_from([MatchKind.EXACT, MatchKind.PREFIX]), paths, st.booleans()
    ),
    regexes,
)
header_matches = st.builds(
    HeaderMatch,
    st.sampled_from(["x-a", "x-b", ":path", ":method", "host"]),
    st.one_of(string_matches, st.just(StringMatch(MatchKind.PRESENT))),
    st.booleans(),
)
query_matches = st.builds(HeaderMatch, st.sampled_from(["a", "b"]), string_matches, st.just(False))
matches = st.builds(
    RouteMatch,
    path=path_matches,
    method=st.one_of(st.none(), st.just(StringMatch(MatchKind.EXACT, "GET"))),
    authority=st.one_of(st.none(), st.just(StringMatch(MatchKind.PREFIX, "sh"))),
    scheme=st.one_of(st.none(), st.just(StringMatch(MatchKind.EXACT, "https"))),
    headers=st.lists(header_matches, max_size=2).map(tuple),
    query=st.lists(query_matches, max_size=1).map(tuple),
)


@st.composite
def requests(draw: st.DrawFn) -> RequestHead:
    pairs = [(b"Host", draw(st.sampled_from([b"shop", b"other"])))]
    names = draw(st.lists(st.sampled_from([b"X-A", b"x-b", b"x-a"]), max_size=3))
    pairs += [(name, draw(words).encode()) for name in names]
    if draw(st.booleans()):
        pairs.append((b"X-Forwarded-Proto", b"https"))
    path = (draw(paths) + draw(queries)).replace(" ", "%20").encode()
    method = draw(st.sampled_from([b"GET", b"POST"]))
    return RequestHead(method, path, pairs[0][1], 11, pairs, index(pairs))


@given(matches, requests())
def test_a_match(match: RouteMatch, head: RequestHead) -> None:
    compiled = compile_match(match)
    assert (compiled is None or compiled(head)) == reference_match(match, head)


@settings(max_examples=300)
@given(st.lists(matches, max_size=20), st.lists(requests(), min_size=1, max_size=5))
def test_a_table(rules: list[RouteMatch], heads: list[RequestHead]) -> None:
    routes = [Route(match, Forward((WeightedCluster("c"),))) for match in rules]
    compiled = compile_routes(routes, list(range(len(routes))))
    for head in heads:
        assert compiled(head) == reference_routes(routes, head)


weights = st.lists(st.integers(0, 100), min_size=1, max_size=6)


@given(weights, st.floats(0, 1, exclude_max=True))
def test_a_split(parts: list[int], draw: float) -> None:
    chosen = compile_split(parts, list(range(len(parts))))(draw)
    assert chosen == reference_split(parts, draw)
    assert not any(parts) or parts[chosen] > 0
