"""One form for rules that mean the same. Pure.

The kernel gives rules back in its own words: options in another order, marks in hexadecimal, ranges
without their host bits, modules and masks named that nobody wrote. Comparing what is there with
what should be needs both in one form: conditions as a sorted list, target as a tuple.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

# A condition: whether it is negated, its option (with the module where that alone tells), value.
Condition = tuple[bool, str, str]

SAME_OPTION: Final = {"--to-port": "--to-ports", "--set-mark": "--set-xmark", "-g": "-j"}
MARKS: Final = frozenset({"--mark", "--set-xmark", "--tproxy-mark"})
# What the kernel adds to a rule that did not say it: the whole mark, the incoming address.
DEFAULTS: Final = frozenset(
    {
        ("--nfmask", "0xffffffff"),
        ("--ctmask", "0xffffffff"),
        ("--on-ip", "0.0.0.0"),
        ("--on-ip", "::"),
    }
)
ANYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})


@dataclass(frozen=True, slots=True)
class Canonical:
    """A rule without its chain: sorted conditions, and the target with its settings."""

    conditions: tuple[Condition, ...]
    target: tuple[str, ...]

    @property
    def target_name(self) -> str:
        """The chain or extension that the rule leads to; empty where it only counts."""
        return self.target[0] if self.target else ""

    def has(self, option: str, value: str) -> bool:
        """Whether a condition stands there, not negated."""
        return (False, option, value) in self.conditions


def canonical(spec: str) -> Canonical:
    """The canonical form of a rule as written or saved, without `-A CHAIN` before it."""
    conditions: list[Condition] = []
    target: list[str] = []
    for negated, option, value in _options(spec):
        if option == "-j":
            target.append(value)
        elif target:
            target.extend(part for part in (option, value) if part)
        elif negated or value not in ANYWHERE:
            conditions.append((negated, option, value))
    return Canonical(tuple(sorted(conditions)), (*target[:1], *_settings(target[1:])))


def _settings(parts: list[str]) -> list[str]:
    """A target's settings, sorted by option; each option keeps its value."""
    pairs: list[tuple[str, ...]] = []
    for part in parts:
        if part.startswith("--") or not pairs:
            pairs.append((part,))
        else:
            pairs[-1] = (*pairs[-1], part)
    return [part for pair in sorted(pairs) for part in pair]


def _options(spec: str) -> Iterator[Condition]:
    """Options with their values normalised; modules are dropped, defaults left out."""
    words = shlex.split(spec)
    module, negated, at = "", False, 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "!":
            negated = True
            continue
        value = ""
        if at < len(words) and words[at] != "!" and not words[at].startswith("-"):
            value = words[at]
            at += 1
        if word == "-m":
            module = value
            continue
        option = SAME_OPTION.get(word, word)
        value = _value(option, value)
        if (option, value) not in DEFAULTS:
            # `--mark` is an option of two modules, with two meanings.
            yield negated, f"{module} --mark" if option == "--mark" else option, value
        negated = False


def _value(option: str, value: str) -> str:
    if option in ("-s", "-d"):
        return _network(value)
    if option in MARKS:
        return _mark(value)
    if option == "--ctstate":
        return ",".join(sorted(value.split(",")))
    return value


def _network(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:  # a host name, or another program's range notation: compared as it is
        return value


def _mark(value: str) -> str:
    number, _, mask = value.partition("/")
    try:
        bits = int(mask, 0) if mask else 0xFFFFFFFF
        return f"{int(number, 0):#x}" + ("" if bits == 0xFFFFFFFF else f"/{bits:#x}")
    except ValueError:
        return value
