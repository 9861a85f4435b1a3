"""Compiled policies against the plain way of evaluating them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.base.addr import Address
from meshproxy.model.policy import Action, Clause, Policy, Rule, Term
from meshproxy.policy.attributes import BY_IDENTITY, attribute_of
from meshproxy.policy.judge import judge_of_connections, judge_of_requests
from meshproxy.policy.reference import first_match
from meshproxy.policy.rules import Lines, lines_of
from meshproxy.record import Record, Secured
from meshproxy.wire.heads import HTTP11, RequestHead, index

DOMAINS = ("new.td", "cluster.local")
BLOCKS = ["10.0.0.1", "10.0.0.0/24", "10.0.0.7/8", "fd00::/16", "::/0", "0.0.0.0/0"]
TEXTS = ["a", "a*", "*a", "*", "b", "a*b", "*a*", "é", "**", "A"]
ACCOUNTS = ["ns/sa", "sa", "s.", "ns2/sa"]
VALUES = {
    "principals": ["cluster.local/ns/ns/sa/sa", "new.td/*", "*/sa", "*", "*td/ns/ns/sa/sa", "x"],
    "namespaces": ["ns", "n*", "*s", "*", "n.", "n*2"],
    "serviceAccounts": ACCOUNTS,
    "trustDomains": ["cluster.local", "new.td", "*", "*.td", "new*"],
    "ipBlocks": BLOCKS,
    "remoteIpBlocks": BLOCKS,
    "requestPrincipals": TEXTS,
    "source.ip": BLOCKS,
    "remote.ip": BLOCKS,
    "source.namespace": ["ns", "*"],
    "source.principal": ["*", "*/sa"],
    "source.serviceAccount": ACCOUNTS,
    "destination.ip": BLOCKS,
    "destination.port": ["80", "81"],
    "connection.sni": TEXTS,
    "request.headers[X-A]": TEXTS,
    "request.headers[:path]": ["/a", "/*"],
    "request.auth.claims[a]": TEXTS,
    "experimental.envoy.filters.a[b]": TEXTS,
    "hosts": TEXTS,
    "methods": ["GET", "P*", "*T", "*"],
    "paths": ["/a", "/a*", "*/a", "*", "/{*}", "/{**}", "/a/{*}/b", "/{*}/{**}", "/é", "/{**}/é"],
    "ports": ["80", "81", "08"],
}
SOURCES = [name for name in VALUES if name[-1] == "s" and "." not in name][:7]
OPERATIONS = ["hosts", "methods", "paths", "ports"]
KEYS = [name for name in VALUES if "." in name]


@st.composite
def terms(draw: st.DrawFn, names: list[str]) -> Term:
    name = draw(st.sampled_from(names))
    some = st.lists(st.sampled_from(VALUES[name]), max_size=3).map(tuple)
    values, others = draw(some), draw(some)
    return Term(name, values or (() if others else (VALUES[name][0],)), others)


def clauses(names: list[str]) -> st.SearchStrategy[tuple[Clause, ...]]:
    return st.lists(st.lists(terms(names), min_size=1, max_size=2).map(tuple), max_size=2).map(
        tuple
    )


rules = st.builds(
    Rule, clauses(SOURCES), clauses(OPERATIONS), st.lists(terms(KEYS), max_size=1).map(tuple)
)
policies = st.lists(
    st.builds(
        Policy,
        st.sampled_from(["ns", "root"]),
        st.sampled_from(["p", "q"]),
        st.sampled_from(Action),
        st.lists(rules, max_size=3).map(tuple),
        st.sampled_from([False, False, True]),
        st.sampled_from(["", "", "", "odd"]),
    ),
    max_size=4,
)
identities = st.sampled_from(
    [
        *("", "spiffe://cluster.local/ns/ns/sa/sa", "spiffe://new.td/ns/ns2/x/sa/sa/y"),
        *("spiffe://other/ns/ns/sa/other", "spiffe://new.td", "https://new.td/ns/ns/sa/sa"),
    ]
)
ips = st.sampled_from(["10.0.0.1", "10.1.0.1", "fd00::1", "192.0.2.1"])
short = st.sampled_from(["a", "ab", "ba", "", "b", "A", "é", "a*b"])


@st.composite
def records(draw: st.DrawFn) -> Record:
    port = draw(st.sampled_from([80, 81, 8]))
    record = Record(0.0, 0.0, Address(draw(ips), 1), Address(draw(ips), port))
    record.direct = Address(draw(ips), 1)
    identity, name = draw(identities), draw(short)
    if draw(st.booleans()) or identity:
        record.secured = Secured(identity, server_name=name)
    else:
        record.server_name = name
    return record


@st.composite
def heads(draw: st.DrawFn) -> RequestHead:
    pairs = [(b"x-a", value.encode()) for value in draw(st.lists(short, max_size=2))]
    forwarded = draw(st.sampled_from(["", "10.0.0.1", "x, fd00::1", "10.0.0.1, x", "1, 10.1.0.1 "]))
    if forwarded:
        pairs.append((b"x-forwarded-for", forwarded.encode()))
    path = draw(
        st.sampled_from(["/a", "/a?b", "/ab", "/b/a", "/", "/a/x/b", "/é", "/a/é", "/a/[", "*"])
    )
    method = draw(st.sampled_from([b"GET", b"PUT", b"POST", b"CONNECT"]))
    host = draw(short).encode()
    return RequestHead(method, path.encode(), host, HTTP11, pairs, index(pairs))


def reference(lines: Lines, record: Record, head: RequestHead | None) -> str | None:
    """The name of what refuses, "none" where nothing allows; None where it may pass."""
    line = first_match(lines.deny, record, head)
    if line is not None:
        return line.name
    if lines.allow is None or first_match(lines.allow, record, head) is not None:
        return None
    return "none"


def shadows(lines: Lines, record: Record, head: RequestHead | None) -> list[tuple[str, str, str]]:
    found = []
    line = first_match(lines.audit, record, head)
    if line is not None:
        found.append(("audit", "logged", line.name))
    if lines.dry_deny:
        line = first_match(lines.dry_deny, record, head)
        found.append(("deny", "denied", line.name) if line else ("deny", "allowed", ""))
    if lines.dry_allow is not None and first_match(lines.deny, record, head) is None:
        line = first_match(lines.dry_allow, record, head)
        found.append(("allow", "allowed", line.name) if line else ("allow", "denied", ""))
    return found


@settings(max_examples=600, deadline=None)
@given(policies, records(), heads())
def test_the_same_decisions(given_: list[Policy], record: Record, head: RequestHead) -> None:
    for tcp in (False, True):
        lines, seen = lines_of(given_, DOMAINS, tcp), None if tcp else head
        record.shadows = ()
        if tcp:
            connections = judge_of_connections(given_, DOMAINS)
            denial = None if connections is None else connections(record)
        else:
            requests = judge_of_requests(given_, DOMAINS)
            denial = None if requests is None else requests(record, head)
        expected = reference(lines, record, seen)
        details = None if denial is None else denial.details[len(START) : -1]
        assert details == expected
        told = [(each.action, each.result, each.name) for each in record.shadows]
        assert told == shadows(lines, record, seen)


START = "rbac_access_denied_matched_policy["


def test_the_fields_are_what_they_are_taken_for() -> None:
    assert {attribute_of(name) for name in SOURCES} >= BY_IDENTITY
    assert "requestPrincipals" in SOURCES
    assert "ports" not in SOURCES
