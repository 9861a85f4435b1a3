"""Lists of texts compiled to one question: exact, ``prefix*``, ``*suffix``, ``*``, templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshproxy.base.regex import full_match
from meshproxy.policy.reference import template

Test = Callable[[bytes], bool]
Ask = Callable[[str], bool]

REMEMBERED = 1024  # answers that are kept; strangers who ask for more make it start over


def compile_texts(values: Iterable[str], templates: bool = False) -> Test:
    """Whether a text is among the values. ``templates``: they are paths, with ``{*}``, ``{**}``."""
    exact, prefixes, suffixes, tests = set(), [], [], []
    for value in values:
        raw = value.encode()
        if templates and ("{*}" in value or "{**}" in value):
            # RE2 is handed the UTF-8 of it, and reads both sides as bytes.
            tests.append(full_match(template(value)))
        elif raw == b"*":
            return _anything
        elif raw.startswith(b"*"):
            suffixes.append(raw[1:])
        elif raw.endswith(b"*"):
            prefixes.append(raw[:-1])
        else:
            exact.add(raw)
    if not prefixes and not suffixes and not tests:
        return exact.__contains__
    starts, ends, among = tuple(prefixes), tuple(suffixes), frozenset(exact)

    def test(text: bytes) -> bool:
        return (
            text in among
            or text.startswith(starts)
            or text.endswith(ends)
            or any(each(text) for each in tests)
        )

    return test


def _anything(text: bytes) -> bool:
    return True


def remembered(ask: Ask) -> Ask:
    """The same, its answers kept: identities and addresses come again and again."""
    known: dict[str, bool] = {}

    def answer(text: str) -> bool:
        found = known.get(text)
        if found is None:
            if len(known) >= REMEMBERED:
                known.clear()
            found = known[text] = ask(text)
        return found

    return answer
