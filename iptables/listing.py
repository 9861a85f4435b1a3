"""nftables rules in one form, from what `nft` prints and from what it is given. Pure.

`nft list` prints what it was given in other words: addresses without full masks, marks in
hexadecimal, a protocol left out where a port says it. Here a rule is its conditions, sorted, and
its statements. What is not understood stays as words, and then differs, which is right.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Final

# Conditions, sorted, and statements.
Form = tuple[tuple[str, ...], tuple[str, ...]]
# Table to chain to rules in order.
Tables = Mapping[str, Mapping[str, Sequence[Form]]]

_WORD: Final = re.compile(r"\{[^}]*\}|\S+")
_HOOK: Final = re.compile(r"type \w+ hook")
VERDICTS: Final = frozenset({"jump", "return", "accept", "drop", "redirect", "tproxy"})
PAIRS: Final = frozenset({"meta", "ip", "ip6", "tcp", "udp", "ct"})


def listed(text: str, wanted: Collection[str]) -> Tables:
    """Rules from `nft -s list ruleset`, of the wanted tables of family inet."""
    tables: dict[str, dict[str, list[Form]]] = {}
    chains: dict[str, list[Form]] | None = None
    rules: list[Form] | None = None
    for line in map(str.strip, text.splitlines()):
        match line.split():
            case ["table", family, name, "{"]:
                known = family == "inet" and name in wanted
                chains = tables.setdefault(name, {}) if known else None
            case ["chain", name, "{"] if chains is not None:
                rules = chains.setdefault(name, [])
            case ["}"]:
                rules = None
            case [_, *_] if rules is not None and not _HOOK.match(line):
                rules.append(form(line))
    return tables


def given(text: str) -> Tables:
    """Rules from the commands of a transaction, insertions carried out."""
    tables: dict[str, dict[str, list[Form]]] = {}
    for line in text.splitlines():
        match line.split():
            case ["add", "table", "inet", table]:
                tables.setdefault(table, {})
            case ["add", "chain", "inet", table, chain, *_]:
                tables[table].setdefault(chain, [])
            case ["insert", "rule", "inet", table, chain, "index", place, *rest]:
                tables[table][chain].insert(int(place), form(" ".join(rest)))
            case ["insert", "rule", "inet", table, chain, *rest]:
                tables[table][chain].insert(0, form(" ".join(rest)))
            case ["add", "rule", "inet", table, chain, *rest]:
                tables[table][chain].append(form(" ".join(rest)))
    return tables


def form(rule: str) -> Form:
    """One rule's form."""
    words = _WORD.findall(rule.replace('"', ""))
    conditions: list[tuple[str, str]] = []
    at = 0
    while at < len(words):
        if words[at] == "counter":
            at += 5 if words[at + 1 : at + 2] == ["packets"] else 1
            continue
        size = 2 if words[at] in PAIRS else 1
        if words[at] in VERDICTS or words[at + size : at + size + 1] == ["set"]:
            break
        key = " ".join(words[at : at + size]).removeprefix("meta ")
        negated = words[at + size : at + size + 1] == ["!="]
        value = "".join(words[at + size + negated : at + size + negated + 1])
        conditions.append((key, "!= " * negated + _value(value)))
        at += size + negated + 1
    return tuple(sorted(_without_implied(conditions))), tuple(_statements(words[at:]))


def _without_implied(conditions: list[tuple[str, str]]) -> Iterator[str]:
    """A port's protocol need not be said again."""
    ports = {key.split()[0] for key, _ in conditions if key.endswith("port")}
    return (f"{key} {value}" for key, value in conditions if key != "l4proto" or value not in ports)


def _statements(words: list[str]) -> Iterator[str]:
    return (_value(word) for word in words if word not in ("counter", "meta"))


def _value(word: str) -> str:
    if word.startswith("{"):
        return ",".join(sorted(_value(each) for each in word.strip("{ }").split(", ")))
    try:
        return str(int(word, 0))
    except ValueError:
        pass
    if "." in word or ":" in word[1:]:
        try:
            return str(ip_network(word, strict=False))
        except ValueError:
            return word
    return ",".join(sorted(word.split(",")))
