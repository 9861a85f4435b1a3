from __future__ import annotations

import pytest

from meshproxy.base.regex import full_match


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        (r"/v[0-9]+/.*", b"/v1/x", True),
        (r"/v[0-9]+", b"/v1/x", False),
        (r"(?i)abc", b"ABC", True),
        (r".*", b"\xff\xfe", True),
    ],
)
def test_the_whole_text_must_match(pattern: str, text: bytes, holds: bool) -> None:
    assert full_match(pattern)(text) is holds


def test_linear_time() -> None:
    """A backtracking engine would not come back from this."""
    assert not full_match(r"(a+)+b")(b"a" * 5000)


@pytest.mark.parametrize("pattern", ["(", r"(?=x)", r"\1", "*"])
def test_what_re2_refuses_is_a_sentence(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        full_match(pattern)
