"""Paths in their one spelling: Envoy's answers as a table, and the fast form against the plain."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.model.paths import PathNormalization
from meshproxy.wire.paths import compile_normalization, reference_normalization

BASE, MERGE = PathNormalization.BASE, PathNormalization.MERGE_SLASHES
DECODE, NONE = PathNormalization.DECODE_AND_MERGE_SLASHES, PathNormalization.NONE


@pytest.mark.parametrize(
    ("asked", "base", "merged", "decoded"),
    [
        (b"/a/b.txt?c=/../%2e", None, None, None),
        (b"/a/../b", b"/b", b"/b", b"/b"),
        (b"/a/./b", b"/a/b", b"/a/b", b"/a/b"),
        (b"/a/..", b"/", b"/", b"/"),
        (b"/a/.?q", b"/a/?q", b"/a/?q", b"/a/?q"),
        (b"/../../x", b"/x", b"/x", b"/x"),
        (b"/a/%2e%2E/b", b"/b", b"/b", b"/b"),
        (b"/a/.%2e", b"/", b"/", b"/"),
        (b"/%2ea/...", b"/.a/...", b"/.a/...", b"/.a/..."),
        (b"/.well-known/x", None, None, None),
        (b"/a//../b", b"/a/b", b"/a/b", b"/a/b"),
        (b"/a///../../b", b"/a/b", b"/a/b", b"/a/b"),
        (b"//a//b/", b"//a//b/", b"/a/b/", b"/a/b/"),
        (b"//", b"//", b"//", b"//"),
        (b"///?//", b"///?//", b"//?//", b"//?//"),
        (b"/a%2Fb%5cc", b"/a%2Fb%5cc", b"/a%2Fb%5cc", b"/a/b/c"),
        (b"/a/..%2fb", b"/a/..%2fb", b"/a/..%2fb", b"/b"),
        (b"/%2f?%2f", b"/%2f?%2f", b"/%2f?%2f", b"//?%2f"),
        (b"/%252f", b"/%252f", b"/%252f", b"/%252f"),
        (b"/a\\..\\b", b"/b", b"/b", b"/b"),
        (b"/a\\\\b", b"/a//b", b"/a/b", b"/a/b"),
        (b"/%41%7e%c3%A9", b"/A~%c3%A9", b"/A~%c3%A9", b"/A~%c3%A9"),
        (b"/%zz%4%", b"/%zz%4%", b"/%zz%4%", b"/%zz%4%"),
        (
            b"/%2%30/%%30%30/%4%2f1",
            b"/%2520/%2500/%4%2f1",
            b"/%2520/%2500/%4%2f1",
            b"/%2520/%2500/%4/1",
        ),
        (b'/<{|}>^`"', *[b"/%3C%7B%7C%7D%3E%5E%60%22"] * 3),
        (b"/\xc3\xa9 ", *[b"/%C3%A9%20"] * 3),
        (b"/a/..;x=1/b/.;c/d", b"/b/d", b"/b/d", b"/b/d"),
        (b"/a/..;\\b", b"/", b"/", b"/"),
        (b"/a/%2e%2e;/b", b"/a/..;/b", b"/a/..;/b", b"/a/..;/b"),
        (b"/a;/b/...;/c", b"/a;/b/...;/c", b"/a;/b/...;/c", b"/a;/b/...;/c"),
        (b"*", None, None, None),
    ],
)
def test_spellings(asked: bytes, base: bytes, merged: bytes, decoded: bytes) -> None:
    """None: as it was."""
    for kind, expected in ((BASE, base), (MERGE, merged), (DECODE, decoded), (NONE, None)):
        assert compile_normalization(kind)(asked) == (expected or asked)


@pytest.mark.parametrize("path", [b"/a%00", b"/%%00", b"/\0", b"a", b"", b"?a", b"http:/x"])
def test_what_is_no_path(path: bytes) -> None:
    for kind in (BASE, MERGE, DECODE):
        assert compile_normalization(kind)(path) is None


@pytest.mark.parametrize("kind", PathNormalization)
def test_fragments_are_never_taken(kind: PathNormalization) -> None:
    for path in (b"/a#b", b"/a?b#", b"/#"):
        assert compile_normalization(kind)(path) is None


def test_the_same_object_where_there_is_nothing_to_do() -> None:
    path = b"/api/v1/items/1?page=2&sort=name"
    for kind in PathNormalization:
        assert compile_normalization(kind)(path) is path


PIECES = st.sampled_from(
    [
        *(b"/", b"/", b"/", b".", b"..", b"%2e", b"%2E", b"%2f", b"%5C", b"\\", b"a", b"~", b"%7e"),
        *(b"%", b"%4", b"%41", b"%00", b"?", b"#", b";", b"\xc3", b"[", b"*", b"%25", b"=", b" "),
    ]
)
targets = st.lists(PIECES, max_size=9).map(lambda pieces: b"/" + b"".join(pieces))


@settings(max_examples=1000)
@given(st.sampled_from(PathNormalization), st.one_of(targets, st.binary(max_size=12)))
def test_the_fast_form_is_the_plain_one(kind: PathNormalization, target: bytes) -> None:
    found = compile_normalization(kind)(target)
    assert found == reference_normalization(kind, target)
    if found is not None:
        again = compile_normalization(kind)(found)
        if (
            kind is not DECODE and b";" not in found
        ):  # of which %255c and the like make something new
            assert again == found
