"""From what is there to what should be: comparing, and the text that makes the change. Pure.

A block of `iptables-restore` is applied whole or not at all. So each block takes what is ours away
and puts the wanted in, and between two states of ours there is never a moment with neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from iptables.canonical import canonical
from iptables.ours import NOTHING, Hook, Part
from iptables.render import Blocks, blocks, for_family, spec
from iptables.rules.rule import OUR_CHAINS, Family, Rule
from iptables.rules.walk import walk

# Table to what of it is ours.
Parts = Mapping[str, Part]


def differences(parts: Parts, rules: Sequence[Rule], family: Family) -> list[str]:
    """How our part differs from the wanted rules, a phrase each; empty means the same.

    Order counts within our chains, and among our own rules in the built-in ones; what others have
    put between those does not.
    """
    wanted = wanted_parts(rules, family)
    tables = dict.fromkeys([*wanted, *parts])
    return [
        phrase
        for table in tables
        for phrase in _compare(table, parts.get(table, NOTHING), wanted.get(table, NOTHING))
    ]


def incomplete(parts: Parts, rules: Sequence[Rule], family: Family) -> bool:
    """Whether a wanted chain, or one of our rules in a built-in chain, is not there at all."""
    return any(
        not wanted.chains.keys() <= parts.get(table, NOTHING).chains.keys()
        or len(wanted.hooks) > len(parts.get(table, NOTHING).hooks)
        for table, wanted in wanted_parts(rules, family).items()
    )


def wanted_parts(rules: Sequence[Rule], family: Family) -> Parts:
    """The wanted rules in the shape of parts, as on chains that hold nothing else."""
    chains_made = {
        table: [line.removeprefix("-N ") for line in lines if line.startswith("-N ")]
        for table, lines in blocks(rules, family).items()
    }
    parts: dict[str, Part] = {}
    for table, chains in walk(for_family(rules, family)).items():
        specs = {str(name): tuple(spec(rule) for rule in each) for name, each in chains.items()}
        own = {name: specs.get(name, ()) for name in chains_made[table]}
        hooks = (
            Hook(name, place, each, alone=True)
            for name in specs
            if name not in OUR_CHAINS
            for place, each in enumerate(specs[name], 1)
        )
        parts[table] = Part(own, tuple(hooks))
    return parts


def _compare(table: str, present: Part, wanted: Part) -> Iterator[str]:
    for chain in dict.fromkeys([*wanted.chains, *present.chains]):
        if chain not in present.chains:
            yield f"{table}: chain {chain} is missing"
        elif chain not in wanted.chains:
            yield f"{table}: chain {chain} is not wanted"
        elif not _same(present.chains[chain], wanted.chains[chain]):
            yield f"{table}: the rules of {chain} differ"
    for chain in dict.fromkeys(hook.chain for hook in (*wanted.hooks, *present.hooks)):
        if not _same(_hooked(present, chain), _hooked(wanted, chain)):
            yield f"{table}: our rules in {chain} differ"


def _hooked(part: Part, chain: str) -> list[str]:
    return [hook.spec for hook in part.hooks if hook.chain == chain]


def _same(present: Sequence[str], wanted: Sequence[str]) -> bool:
    return [canonical(each) for each in present] == [canonical(each) for each in wanted]


def replacement(parts: Parts, wanted: Blocks) -> Blocks:
    """Per table: what is ours out, the wanted in."""
    tables = sorted({*parts, *wanted})
    return {
        table: [*removal(parts.get(table, NOTHING)), *wanted.get(table, ())] for table in tables
    }


def removal(part: Part) -> list[str]:
    """The lines that take our part out and touch nothing else.

    From the last place to the first, so that places stay right; by place only where the chain has
    another rule like it, because a rule's text can't hit another one that moved there meanwhile.
    """
    hooks = sorted(part.hooks, key=lambda hook: hook.place, reverse=True)
    return [
        *(f"-D {hook.chain} {hook.spec if hook.alone else hook.place}" for hook in hooks),
        *(f"-F {chain}" for chain in part.chains),
        *(f"-X {chain}" for chain in part.chains),
    ]


def restoration(parts: Parts) -> Blocks:
    """The lines that put our parts back where they were, on a ruleset without them."""
    return {table: _restored(part) for table, part in parts.items()}


def _restored(part: Part) -> list[str]:
    hooks = sorted(part.hooks, key=lambda hook: hook.place)
    return [
        *(f"-N {chain}" for chain in part.chains),
        *(f"-A {chain} {each}" for chain, specs in part.chains.items() for each in specs),
        *(f"-I {hook.chain} {hook.place} {hook.spec}" for hook in hooks),
    ]
