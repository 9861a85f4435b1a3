"""What `iptables-save` prints, as tables of chains of rules. Pure."""

from __future__ import annotations

from collections.abc import Mapping

# Chain to its rules, each without `-A CHAIN`; chains without rules are there too.
Chains = Mapping[str, tuple[str, ...]]
# Table to its chains.
Saved = Mapping[str, Chains]


def parse(text: str) -> Saved:
    """Tables, chains and rules; comments, counters and policies are left out."""
    tables: dict[str, dict[str, list[str]]] = {}
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            chains.setdefault(line[1:].split(" ", 1)[0], [])
        elif (rule := _rule(line)) is not None:
            chain, spec = rule
            chains.setdefault(chain, []).append(spec)
    return {
        table: {chain: tuple(rules) for chain, rules in chains.items()}
        for table, chains in tables.items()
    }


def _rule(line: str) -> tuple[str, str] | None:
    if line.startswith("["):  # counters, where somebody asked for them
        line = line.partition("] ")[2]
    if not line.startswith("-A "):
        return None
    _, chain, *spec = line.split(" ", 2)
    return chain, spec[0] if spec else ""


def holds_rules(saved: Saved) -> bool:
    """Whether anybody has put a rule there, or made a chain."""
    return any(rules for chains in saved.values() for rules in chains.values())
