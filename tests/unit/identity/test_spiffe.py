"""SPIFFE IDs by table, and by rule: what is accepted is written in one way only."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.identity import IdentityError
from meshproxy.identity.spiffe import (
    LONGEST,
    SpiffeId,
    istio_id,
    parse,
    parse_trust_domain,
)

VALID = [
    ("spiffe://mesh.example", SpiffeId("mesh.example")),
    ("spiffe://cluster.local/ns/shop/sa/cart", SpiffeId("cluster.local", "/ns/shop/sa/cart")),
    ("spiffe://10.0.0.7/x", SpiffeId("10.0.0.7", "/x")),
    ("spiffe://under_score-1.example/A.b_c-D", SpiffeId("under_score-1.example", "/A.b_c-D")),
    ("spiffe://mesh.example/...", SpiffeId("mesh.example", "/...")),
    ("spiffe://mesh.example/.hidden/a..b", SpiffeId("mesh.example", "/.hidden/a..b")),
    ("spiffe://-", SpiffeId("-")),
]
INVALID = [
    ("", "does not start with"),
    ("mesh.example/a", "does not start with"),
    ("https://mesh.example/a", "does not start with"),
    ("SPIFFE://mesh.example/a", "does not start with"),
    ("spiffe:/mesh.example/a", "does not start with"),
    ("spiffe://", "trust domain is empty"),
    ("spiffe:///a", "trust domain is empty"),
    ("spiffe://mesh.example/", "segment of the path is empty"),
    ("spiffe://mesh.example/a/", "segment of the path is empty"),
    ("spiffe://mesh.example//a", "segment of the path is empty"),
    ("spiffe://mesh.example/a//b", "segment of the path is empty"),
    ("spiffe://mesh.example/.", "relative"),
    ("spiffe://mesh.example/a/../b", "relative"),
    ("spiffe://mesh.example/a%2fb", "a path has only"),
    ("spiffe://m%65sh.example/a", "a trust domain has only"),
    ("spiffe://mesh.example/a?b", "a path has only"),
    ("spiffe://mesh.example?b", "a trust domain has only"),
    ("spiffe://mesh.example/a#b", "a path has only"),
    ("spiffe://me@mesh.example/a", "a trust domain has only"),
    ("spiffe://mesh.example:443/a", "a trust domain has only"),
    ("spiffe://Mesh.example/a", "a trust domain has only"),
    ("spiffe://[::1]/a", "a trust domain has only"),
    ("spiffe://mesh.example/é", "a path has only"),
    ("spiffe://mesh.example/a b", "a path has only"),
    ("spiffe://mesh.example/a\n", "a path has only"),
    ("spiffe://mesh.example\n", "a trust domain has only"),
    ("spiffe://mesh.example/a\0", "a path has only"),
    ("spiffe://mesh.example/*", "a path has only"),
    (f"spiffe://{'a' * 256}/b", "at most 255 bytes"),
    (f"spiffe://a/{'b' * 2048}", "at most 2048 bytes"),
]


@pytest.mark.parametrize(("text", "expected"), VALID)
def test_ids_are_read(text: str, expected: SpiffeId) -> None:
    assert parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(("text", "reason"), INVALID)
def test_what_is_no_id_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(IdentityError, match=re.escape(reason)):
        parse(text)


def test_the_longest_that_must_be_taken_is() -> None:
    start = f"spiffe://{'a' * 255}/"
    text = start + "b" * (LONGEST - len(start))
    assert len(text) == LONGEST
    assert str(parse(text)) == text


def test_istios_form() -> None:
    found = istio_id("cluster.local", "shop", "cart")
    assert found.workload == ("shop", "cart")
    assert found.principal == "cluster.local/ns/shop/sa/cart"
    assert parse("spiffe://cluster.local/ns/shop/sa/cart/x").workload is None
    assert parse("spiffe://cluster.local/sa/cart/ns/shop").workload is None
    with pytest.raises(IdentityError):
        istio_id("cluster.local", "shop", "a/../b/")


def test_trust_domains_alone() -> None:
    assert parse_trust_domain("td-1.example") == "td-1.example"
    for text in ("", "Td", "a/b", "a b"):
        with pytest.raises(IdentityError, match="no trust domain"):
            parse_trust_domain(text)


_DOMAINS = st.text("abcxyz019.-_", min_size=1, max_size=255)
_SEGMENTS = st.text("abcXYZ019.-_", min_size=1, max_size=12).filter(lambda s: s not in (".", ".."))


@given(_DOMAINS, st.lists(_SEGMENTS, max_size=6))
def test_all_that_the_rules_allow_is_read(domain: str, segments: list[str]) -> None:
    found = parse(f"spiffe://{domain}" + "".join(f"/{segment}" for segment in segments))
    assert found.trust_domain == domain
    assert found.path.split("/")[1:] == segments


@given(
    st.one_of(
        st.text(max_size=60),
        st.text("aA.:/%?#@[]_-\0 é", max_size=40).map("spiffe://{}".format),
    )
)
def test_whatever_comes_is_read_as_it_stands_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except IdentityError:
        return
    assert str(found) == text
    # The standard's grammar once more, in another way.
    allowed = r"spiffe://[a-z0-9._-]{1,255}(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._-]+)*\Z"
    assert re.match(allowed, text)
