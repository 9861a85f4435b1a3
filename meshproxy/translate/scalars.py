"""What a plain YAML word means, as Kubernetes reads it.

YAML 1.1 turns ``2020-01-01`` into a date and ``1:30`` into a number of seconds. Kubernetes never
does (its files become JSON first), and an Istio file full of ports, versions and durations must not
either. Octal ``0644`` and ``yes``/``on`` keep their old meaning, as they do there
(sigs.k8s.io/yaml).
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_LONGEST_NUMBER = 64  # digits beyond this are text: no field takes such a number


def read_plain(word: str) -> Scalar:
    """The value of an unquoted scalar."""
    if word in _WORDS:
        return _WORDS[word]
    if word[0] in "+-.0123456789" and len(word) <= _LONGEST_NUMBER:
        if _INTEGER.match(word):
            return _integer(word)
        if _FLOAT.match(word):
            return float(word)
    return word


def _integer(word: str) -> int | str:
    digits = word.replace("_", "").lstrip("+-")
    try:
        if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
            value = int(digits, 8)
        else:
            value = int(digits, 0)
    except ValueError:  # ``0x`` or ``0_``: a word after all
        return word
    return -value if word[0] == "-" else value
