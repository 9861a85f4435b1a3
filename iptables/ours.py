"""Which part of a saved ruleset is ours. Pure.

Our chains are known by name, and so is every rule, in whichever chain, that jumps to one. A few
rules of ours in built-in chains jump nowhere: exceptions for interfaces, and TPROXY's marks. Those
are known by being what the options ask for; marks also by standing beside our chains, since their
shape is Istio's own. An interface's exception that the options don't name is left alone, because
anybody could have written it; `strangers` names those, so that the user can.

A table is committed whole, so where none of our chains is in a table, nothing in it is ours, and
a rule that looks like ours is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from iptables.canonical import Canonical, canonical
from iptables.render import for_family, spec
from iptables.rules.rule import OUR_CHAINS, Chain, Family, Rule, Table
from iptables.rules.tproxy import OUTBOUND_MARK
from iptables.rules.walk import walk
from iptables.saved import Chains, Saved

NO_RULES: Final[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Hook:
    """A rule of ours in a chain that is not: which chain, at which place (from 1), and the rule."""

    chain: str
    place: int
    spec: str
    alone: bool  # whether the chain has no other rule that means the same


@dataclass(frozen=True, slots=True)
class Part:
    """What of one table is ours: chains with their rules, and hooks in others' chains."""

    chains: Chains
    hooks: tuple[Hook, ...]

    def __bool__(self) -> bool:
        return bool(self.chains or self.hooks)


NOTHING: Final = Part({}, ())


def find(saved: Saved, rules: Iterable[Rule], family: Family) -> Mapping[str, Part]:
    """Per table what is ours, given the rules that are asked for; tables without are absent."""
    asked = walk(for_family(rules, family))
    found = {
        table: _part(table, chains, asked.get(Table(table), {}) if table in set(Table) else {})
        for table, chains in saved.items()
    }
    return {table: part for table, part in found.items() if part}


def _part(table: str, chains: Chains, asked: Mapping[Chain, Sequence[Rule]]) -> Part:
    own = {name: rules for name, rules in chains.items() if name in OUR_CHAINS}
    hooks: list[Hook] = []
    for name, specs in chains.items():
        if name in own or not own:
            continue
        forms = [canonical(each) for each in specs]
        places = {at for at, form in enumerate(forms) if form.target_name in own}
        places |= _asked_for(forms, asked.get(Chain(name), ()) if name in set(Chain) else ())
        if table == Table.MANGLE:
            places |= _marks(name, forms, own)
        hooks += [
            Hook(name, at + 1, specs[at], forms.count(forms[at]) == 1) for at in sorted(places)
        ]
    return Part(own, tuple(hooks))


def _asked_for(forms: Sequence[Canonical], asked: Sequence[Rule]) -> set[int]:
    """Where the rules stand that the options ask for and that jump nowhere of ours.

    Somebody else may have written the same rule before us. Ours were appended later, or inserted
    at the head, so appended ones are looked for from the end and inserted ones from the start.
    """
    places: set[int] = set()
    for rule in asked:
        wanted = canonical(spec(rule))
        if wanted.target_name in OUR_CHAINS:
            continue
        free = [at for at, form in enumerate(forms) if form == wanted and at not in places]
        if free:
            places.add(free[-1] if rule.at is None else free[0])
    return places


def _marks(chain: str, forms: Sequence[Canonical], own: Chains) -> set[int]:
    """TPROXY's rules in built-in chains, told by the mark that our inbound chain exempts."""
    marks = [
        value
        for rule in own.get(Chain.INBOUND, NO_RULES)
        for negated, option, value in canonical(rule).conditions
        if option == "mark --mark" and not negated
    ]
    # Of two alike the later is ours, as above.
    last = {
        form: at for at, form in enumerate(forms) for mark in marks if _carries(chain, form, mark)
    }
    return set(last.values())


def _carries(chain: str, form: Canonical, mark: str) -> bool:
    """Whether a rule is one of TPROXY's, in the chain where that one belongs."""
    marked, connected = form.has("mark --mark", mark), form.has("connmark --mark", mark)
    on_loopback = form.has("-o", "lo")
    match chain, form.target:
        case Chain.PREROUTING, ("CONNMARK", "--save-mark"):
            return marked
        case Chain.OUTPUT, ("CONNMARK", "--restore-mark"):
            return connected
        case Chain.OUTPUT, ("RETURN",):
            return marked and on_loopback
        case Chain.OUTPUT, ("MARK", "--set-xmark", value):
            return on_loopback and value == f"{int(OUTBOUND_MARK):#x}"
    return False


def strangers(saved: Saved, parts: Mapping[str, Part]) -> tuple[str, ...]:
    """Interfaces that are exempt in both directions though nothing asks for it."""
    chains, part = saved.get(Table.NAT, {}), parts.get(Table.NAT, NOTHING)
    if not part:
        return ()
    arriving = _exempt(chains, part, Chain.PREROUTING, "-i")
    leaving = _exempt(chains, part, Chain.OUTPUT, "-o")
    return tuple(name for name in arriving if name in leaving)


def _exempt(chains: Chains, part: Part, chain: Chain, option: str) -> list[str]:
    claimed = {hook.place for hook in part.hooks if hook.chain == chain}
    found: list[str] = []
    for place, rule in enumerate(chains.get(chain, NO_RULES), 1):
        form = canonical(rule)
        match form.conditions:
            case ((False, name, interface),) if name == option and form.target == ("RETURN",):
                found += [interface] if place not in claimed else []
    return found
