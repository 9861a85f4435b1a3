"""The backends that this host has, each with its rulesets, looked at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from iptables.errors import Unsupported
from iptables.execute import Runner
from iptables.nftables import NftRuleset
from iptables.options import Backend
from iptables.rules.rule import BOTH, V4_ONLY, Family, Rule
from iptables.ruleset import Look, Plan, Ruleset
from iptables.xtables import PROGRAMS, XtablesRuleset, programs


@dataclass(slots=True)
class Available:
    """One backend: its rulesets with what was seen in them, or why it can't be used."""

    backend: Backend
    rulesets: list[tuple[Ruleset, Look]] = field(default_factory=list)
    reason: str = ""
    without_ipv6: str = ""  # why IPv6 can't be set up by it

    @property
    def look(self) -> Look:
        """What all its rulesets show together."""
        looks = [look for _, look in self.rulesets]
        return Look(
            tuple(phrase for look in looks for phrase in look.differences),
            any(look.incomplete for look in looks),
            any(look.ours for look in looks),
            any(look.used for look in looks),
            tuple(dict.fromkeys(name for look in looks for name in look.strangers)),
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be set: the rules, those to recognise ours by, and for which families."""

    rules: tuple[Rule, ...]
    asked: tuple[Rule, ...]
    ipv6: bool

    def plan(self, family: Family) -> Plan:
        """For one family: nothing, where it is not in use or everything is to go."""
        on = family is Family.V4 or self.ipv6
        return Plan(self.rules if on else (), self.asked)

    def without(self) -> Wish:
        """The same rules, to be removed."""
        return Wish((), self.asked, self.ipv6)


def survey(runner: Runner, wish: Wish, backends: Sequence[Backend]) -> Iterator[Available]:
    """Look at every backend; those that can't be used come with the reason."""
    for backend in backends:
        if backend is Backend.NFTABLES:
            yield _nftables(runner, wish)
        else:
            yield _xtables(runner, wish, backend)


def _nftables(runner: Runner, wish: Wish) -> Available:
    found = Available(Backend.NFTABLES)
    program = runner.find("nft")
    if program is None:
        found.reason = "nft is not installed"
        return found
    families = BOTH if wish.ipv6 else V4_ONLY
    ruleset = NftRuleset(runner, program, families, wish.plan(Family.V4))
    try:
        found.rulesets.append((ruleset, ruleset.look()))
    except Unsupported as err:
        found.reason = str(err)
    return found


def _xtables(runner: Runner, wish: Wish, backend: Backend) -> Available:
    """IPv4 must be there; IPv6 is looked at by itself and may be missing."""
    found = Available(backend)
    for family in Family:
        try:
            found.rulesets.append(_family(runner, wish, backend, family))
        except Unsupported as err:
            if family is Family.V4:
                found.reason = str(err)
                return found
            found.without_ipv6 = str(err)
    return found


def _family(runner: Runner, wish: Wish, backend: Backend, family: Family) -> tuple[Ruleset, Look]:
    found = programs(runner, backend, family)
    if found is None:
        raise Unsupported(f"{PROGRAMS[family]}-{backend.value} is not installed")
    ruleset = XtablesRuleset(runner, found, backend, family, wish.plan(family))
    return ruleset, ruleset.look()
