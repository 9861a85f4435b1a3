"""nft: one transaction in, and the listing of before back again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from iptables.errors import Failed, Unsupported
from iptables.execute import Result, Runner
from iptables.nftables import NftRuleset
from iptables.rules.rule import BOTH
from iptables.ruleset import Plan
from tests.unit.iptables.build import BOTH_FAMILIES, rules

RULES = rules("-b", "*", "--drop-invalid", facts=BOTH_FAMILIES)

FOREIGN = "table inet theirs {\n\tchain c {\n\t\tdrop\n\t}\n}\n"
OLD = "table inet istio-proxy-raw {\n\tchain output {\n\t\tcounter return\n\t}\n}\n"


class Nft:
    """A host with nft, which lists what the test says and keeps what it is given."""

    def __init__(self, listing: str, status: int = 0, errors: str = "") -> None:
        self.listing = listing
        self.given: list[str] = []
        self._answer = (status, errors)

    def run(self, argv: Sequence[str], text: str = "") -> Result:
        if "list" in argv:
            return Result(self._answer[0], self.listing, self._answer[1])
        self.given.append(text)
        return Result(self._answer[0], "", self._answer[1])


def ruleset(nft: Nft, plan: Plan) -> NftRuleset:
    return NftRuleset(cast(Runner, nft), "/sbin/nft", BOTH, plan)


def test_what_differs() -> None:
    look = ruleset(Nft(FOREIGN + OLD), Plan(RULES, RULES)).look()
    assert look.differences == (
        "istio-proxy-nat: the table is missing",
        "istio-proxy-mangle: the table is missing",
        "istio-proxy-raw: the table is not wanted",
    )
    assert (look.ours, look.incomplete) == (True, True)


def test_others_tables_are_not_ours() -> None:
    look = ruleset(Nft(FOREIGN), Plan((), RULES)).look()
    assert (look.differences, look.ours, look.used) == ((), False, False)


def test_all_in_one_transaction() -> None:
    nft = Nft("")
    each = ruleset(nft, Plan(RULES, RULES))
    each.look()
    each.put()
    assert len(nft.given) == 1
    assert nft.given[0].startswith("add table inet istio-proxy-nat\ndelete table inet istio-prox")


def test_undo_puts_our_tables_back_and_no_others() -> None:
    nft = Nft(FOREIGN + OLD)
    each = ruleset(nft, Plan(RULES, RULES))
    each.look()
    each.remember()()
    assert nft.given[0].endswith(OLD)
    assert "theirs" not in nft.given[0]


def test_failures() -> None:
    nft = Nft("", 1, "Error: Could not process rule: Operation not permitted")
    each = ruleset(nft, Plan(RULES, RULES))
    with pytest.raises(Unsupported, match="nft can't be used: the capability NET_ADMIN"):
        each.look()
    with pytest.raises(Failed, match="nft can't set the rules"):
        each.put()
