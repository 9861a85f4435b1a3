"""nft itself: our own tables, both families, replaced in one transaction."""

from __future__ import annotations

from typing import Final

from iptables import listing, nft
from iptables.errors import Failed, Unsupported
from iptables.execute import Runner
from iptables.explain import explain
from iptables.rules.rule import Family
from iptables.ruleset import Look, Plan, Undo

OUR_TABLES: Final = tuple(nft.table_name(table) for table in nft.TABLES)


class NftRuleset:
    """The tables `istio-proxy-*`. They are ours alone, so nothing of others' can be in the way."""

    def __init__(
        self, runner: Runner, program: str, families: frozenset[Family], plan: Plan
    ) -> None:
        self._runner = runner
        self._program = program
        self._wanted = nft.transaction(plan.wanted, families)
        self._listing = ""

    @property
    def name(self) -> str:
        """For messages."""
        return "nftables"

    @property
    def optional(self) -> bool:
        """Both families are in it."""
        return False

    def look(self) -> Look:
        """Read with `nft list`."""
        result = self._runner.run((self._program, "-s", "list", "ruleset"))
        if result.status != 0:
            raise Unsupported(f"nft can't be used: {explain(result.errors, '')}.")
        self._listing = result.output
        there = listing.listed(result.output, OUR_TABLES)
        wanted = listing.given(self._wanted)
        return Look(
            _differences(there, wanted),
            incomplete=not wanted.keys() <= there.keys(),
            ours=bool(there),
            used=bool(there),
        )

    def put(self) -> None:
        """Everything away and in again, together."""
        self._apply(nft.removal() + self._wanted)

    def remember(self) -> Undo:
        """The listing of our tables, which is also the language to load them by."""
        before = "".join(_tables(self._listing))
        return lambda: self._apply(nft.removal() + before)

    def _apply(self, text: str) -> None:
        result = self._runner.run((self._program, "-f", "-"), text)
        if result.status != 0:
            raise Failed(f"nft can't set the rules: {explain(result.errors, text)}.")


def _differences(there: listing.Tables, wanted: listing.Tables) -> tuple[str, ...]:
    tables = dict.fromkeys([*wanted, *there])
    return tuple(
        f"{table}: {_how(table in there, table in wanted)}"
        for table in tables
        if there.get(table) != wanted.get(table)
    )


def _how(there: bool, wanted: bool) -> str:
    if there and wanted:
        return "the rules differ"
    return "the table is not wanted" if there else "the table is missing"


def _tables(text: str) -> list[str]:
    """The text of each of our tables, from `table inet NAME {` to its `}` in the first column."""
    found: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        words = line.split()
        if line.startswith("table "):
            inside = words[1] == "inet" and words[2] in OUR_TABLES
        if inside:
            found.append(line)
    return found
