"""Rules by table and chain in the order in which a packet meets them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from iptables.rules.rule import Chain, Rule, Table

# Table to chain to rules. Chains come in order of first use.
Walk = Mapping[Table, Mapping[Chain, Sequence[Rule]]]


def walk(rules: Iterable[Rule]) -> Walk:
    """Insertions carried out, as the kernel would on chains that hold nothing else."""
    tables: dict[Table, dict[Chain, list[Rule]]] = {}
    for rule in rules:
        chain = tables.setdefault(rule.table, {}).setdefault(rule.chain, [])
        chain.insert(len(chain) if rule.at is None else rule.at - 1, rule)
    return tables
