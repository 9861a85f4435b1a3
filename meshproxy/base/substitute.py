"""Replacing by regular expression, as RE2's `GlobalReplace` and thus Envoy's `regex_rewrite` do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from meshproxy.base.regex import compile_pattern

_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)


def compile_substitution(pattern: str, substitution: str) -> Callable[[bytes], bytes]:
    """A function that replaces every match in a text.

    Raises ``ValueError``, saying why, where the pattern is none or the substitution asks for a
    group that it does not have.
    """
    compiled = compile_pattern(pattern)
    pieces = parse_substitution(substitution, compiled.groups)

    def expand(found: Any) -> bytes:
        return b"".join(
            piece if isinstance(piece, bytes) else found.group(piece) or b"" for piece in pieces
        )

    def replace(text: bytes) -> bytes:
        done: list[bytes] = []
        at, last = 0, -1
        while at <= len(text) and (found := compiled.search(text, at)) is not None:
            start, end = found.span()
            done.append(text[at:start])
            if start == end == last:
                # RE2 takes no empty match right behind another one.
                done.append(text[start : start + 1])
                at = start + 1
                continue
            done.append(expand(found))
            at = last = end
        done.append(text[at:])
        return b"".join(done)

    return replace


def parse_substitution(text: str, groups: int) -> list[bytes | int]:
    """``a\\1`` → ``[b"a", 1]``: texts, and numbers of groups; 0 is the whole match."""
    pieces: list[bytes | int] = []
    raw, at = text.encode(), 0
    for found in _ESCAPE.finditer(raw):
        pieces.append(raw[at : found.start()])
        what = found[1]
        if what.isdigit():
            if int(what) > groups:
                raise ValueError(f"there is no group {int(what)}: the pattern has {groups}")
            pieces.append(int(what))
        elif what == b"\\":
            pieces.append(what)
        else:
            raise ValueError("a backslash stands before a group's number or another backslash")
        at = found.end()
    pieces.append(raw[at:])
    return [piece for piece in pieces if piece != b""]
