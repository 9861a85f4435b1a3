"""iptables and ip6tables, over nf_tables or the older kernel interface: reading and restoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from iptables import change, ours, render, saved
from iptables.errors import Failed, Unsupported
from iptables.execute import Runner
from iptables.explain import explain, missing_family
from iptables.options import Backend
from iptables.rules.rule import Family
from iptables.ruleset import Look, Plan, Undo
from iptables.saved import Saved

PROGRAMS: Final[Mapping[Family, str]] = {Family.V4: "iptables", Family.V6: "ip6tables"}
# How long to wait for the lock that all users of iptables-legacy share.
LOCK_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Programs:
    """The two programs of one backend and family."""

    save: str
    restore: str


def programs(runner: Runner, backend: Backend, family: Family) -> Programs | None:
    """The programs by their full name, or by the plain one where that is the same backend."""
    base = PROGRAMS[family]
    for name in (f"{base}-{backend.value}", base):
        save, restore = runner.find(f"{name}-save"), runner.find(f"{name}-restore")
        if save and restore and (name != base or _plain_is(runner, save) is backend):
            return Programs(save, restore)
    return None


def _plain_is(runner: Runner, program: str) -> Backend:
    """Which backend a plain `iptables` is; before 1.8 there was only the one."""
    version = runner.run((program, "--version")).output
    return Backend.NFT if "nf_tables" in version else Backend.LEGACY


class XtablesRuleset:
    """The tables of one family, through one backend's programs."""

    def __init__(
        self, runner: Runner, programs: Programs, backend: Backend, family: Family, plan: Plan
    ) -> None:
        self._runner = runner
        self._programs = programs
        self._backend = backend
        self._family = family
        self._plan = plan
        self._saved: Saved = {}

    @property
    def name(self) -> str:
        """For instance `ip6tables-nft`."""
        return f"{PROGRAMS[self._family]}-{self._backend.value}"

    @property
    def optional(self) -> bool:
        """IPv4 is what every pod has."""
        return self._family is Family.V6

    def look(self) -> Look:
        """Read with `iptables-save`."""
        result = self._runner.run((self._programs.save,))
        if result.status != 0:
            raise Unsupported(f"{self.name} can't be used: {explain(result.errors, '')}.")
        self._saved = saved.parse(result.output)
        parts = self._parts()
        return Look(
            tuple(change.differences(parts, self._plan.wanted, self._family)),
            incomplete=change.incomplete(parts, self._plan.wanted, self._family),
            ours=bool(parts),
            used=saved.holds_rules(self._saved),
            strangers=ours.strangers(self._saved, parts),
        )

    def put(self) -> None:
        """Ours out and the wanted in, a table at a time."""
        wanted = render.blocks(self._plan.wanted, self._family)
        self._restore(change.replacement(self._parts(), wanted))

    def remember(self) -> Undo:
        """Our part of the last look."""
        before = self._parts()

        def undo() -> None:
            self.look()
            self._restore(change.replacement(self._parts(), change.restoration(before)))

        return undo

    def _parts(self) -> change.Parts:
        return ours.find(self._saved, self._plan.asked, self._family)

    def _restore(self, blocks: render.Blocks) -> None:
        text = render.text(blocks)
        if not text:
            return
        lock = (f"--wait={LOCK_SECONDS}",) if self._backend is Backend.LEGACY else ()
        result = self._runner.run((self._programs.restore, *lock, "--noflush"), text)
        if result.status == 0:
            return
        sentence = f"{self.name} can't set the rules: {explain(result.errors, text)}."
        raise Unsupported(sentence) if missing_family(result.errors) else Failed(sentence)
