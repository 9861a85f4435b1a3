"""Istio's `StringMatch`: one of ``exact``, ``prefix``, ``regex``."""

from __future__ import annotations

from typing import Any

from meshproxy.base.regex import compile_pattern
from meshproxy.model.route import MatchKind, StringMatch
from meshproxy.translate.fields import Fields
from meshproxy.translate.problems import Path, Report

PRESENT = StringMatch(MatchKind.PRESENT)
_KINDS = {"exact": MatchKind.EXACT, "prefix": MatchKind.PREFIX, "regex": MatchKind.REGEX}
_LONGEST_REGEX = 1024  # Istio's validation
_ANY = "*"  # not RE2, but what Istio takes for "present" where a header must not be


def read_match(
    value: Any, path: Path, report: Report, *, empty_prefix: bool = False, star: bool = False
) -> StringMatch | None:
    """A match; None, with a problem, where it can't be one.

    ``empty_prefix``: an empty prefix is taken (only a path's can be). ``star``: the regular
    expression ``*`` is taken for "present". A mapping that asks for nothing means "present".
    """
    if not isinstance(value, dict):
        fault = "is empty" if value is None else "must be a mapping"
        report.error(path, fault, "write one of exact, prefix, regex with the text to match")
        return None
    fields = Fields(value, path, report)
    kind = fields.one_of(tuple(_KINDS), "a match")
    text = fields.text(kind) if kind else ""
    fields.close()
    if not kind:
        return PRESENT
    if kind == "regex":
        if star and text == _ANY:
            return PRESENT
        return _checked_regex(fields, text, "{}, to ask for its presence" if text == _ANY else "")
    if kind == "prefix" and not text and not empty_prefix:
        fields.error("prefix", "an empty prefix matches everything", "remove the match")
        return None
    return StringMatch(_KINDS[kind], text)


def _checked_regex(fields: Fields, text: str, mend: str) -> StringMatch | None:
    fault = regex_fault(text)
    if fault:
        fields.error("regex", fault, mend or "see github.com/google/re2/wiki/Syntax")
        return None
    return StringMatch(MatchKind.REGEX, text)


def regex_fault(text: str) -> str:
    """What is wrong with a regular expression, or ""."""
    if not text:
        return "an empty regular expression"
    if len(text) > _LONGEST_REGEX:
        return f"the regular expression is longer than {_LONGEST_REGEX} characters"
    try:
        compile_pattern(text)
    except ValueError as error:
        return f"{text!r} is not a regular expression: {error}"
    return ""
