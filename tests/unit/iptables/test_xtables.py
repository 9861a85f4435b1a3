"""iptables' programs: which ones, and how they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from iptables.errors import Failed, Unsupported
from iptables.execute import Result, Runner
from iptables.options import Backend
from iptables.rules.rule import Family
from iptables.ruleset import Plan
from iptables.xtables import Programs, XtablesRuleset, programs
from tests.unit.iptables.build import rules
from tests.unit.iptables.tables import FakeRunner

RULES = rules("-b", "*")
PLAN = Plan(RULES, RULES)


class Plain:
    """A host with plain `iptables` alone, of some version."""

    def __init__(self, version: str) -> None:
        self._version = version

    def find(self, program: str) -> str | None:
        return f"/sbin/{program}" if program.startswith("iptables-") else None

    def run(self, argv: Sequence[str], text: str = "") -> Result:
        assert argv == ("/sbin/iptables-save", "--version")
        return Result(0, self._version, "")


@pytest.mark.parametrize(
    ("version", "backend"),
    [
        ("iptables-save v1.8.9 (nf_tables)", Backend.NFT),
        ("iptables-save v1.8.9 (legacy)", Backend.LEGACY),
        ("iptables-save v1.6.1", Backend.LEGACY),
    ],
)
def test_a_plain_iptables_is_one_of_the_two(version: str, backend: Backend) -> None:
    class OnlyPlain(Plain):
        def find(self, program: str) -> str | None:
            return super().find(program) if program.count("-") == 1 else None

    runner = cast(Runner, OnlyPlain(version))
    plain = Programs("/sbin/iptables-save", "/sbin/iptables-restore")
    for each in (Backend.NFT, Backend.LEGACY):
        assert programs(runner, each, Family.V4) == (plain if each is backend else None)
        assert programs(runner, each, Family.V6) is None


def ruleset(runner: FakeRunner, backend: Backend = Backend.NFT) -> XtablesRuleset:
    found = programs(cast(Runner, runner), backend, Family.V4)
    assert found is not None
    return XtablesRuleset(cast(Runner, runner), found, backend, Family.V4, PLAN)


def test_only_legacy_has_a_lock_to_wait_for() -> None:
    runner = FakeRunner("iptables-nft", "iptables-legacy")
    for backend in (Backend.NFT, Backend.LEGACY):
        each = ruleset(runner, backend)
        each.look()
        each.put()
    changes = [call for call in runner.calls if call[0].endswith("restore")]
    assert changes == [
        ["iptables-nft-restore", "--noflush"],
        ["iptables-legacy-restore", "--wait=30", "--noflush"],
    ]


def test_nothing_to_change_starts_no_program() -> None:
    runner = FakeRunner()
    found = programs(cast(Runner, runner), Backend.NFT, Family.V4)
    assert found is not None
    empty = XtablesRuleset(cast(Runner, runner), found, Backend.NFT, Family.V4, Plan((), RULES))
    empty.look()
    empty.put()
    assert runner.changes() == []


def test_put_and_undo() -> None:
    runner = FakeRunner(v4="*nat\n-A OUTPUT -p udp -j ACCEPT\nCOMMIT\n")
    before = runner.kernel["iptables"].used()
    each = ruleset(runner)
    assert each.look().incomplete
    undo = each.remember()
    each.put()
    assert each.look().differences == ()
    undo()
    assert runner.kernel["iptables"].used() == before


@pytest.mark.parametrize(
    ("message", "error"),
    [("unable to initialize table 'nat'", Unsupported), ("line 3 failed", Failed)],
)
def test_failures(message: str, error: type[Failed]) -> None:
    runner = FakeRunner()
    each = ruleset(runner)
    each.look()
    runner.fails["iptables-nft-restore"] = [message]
    with pytest.raises(Failed, match="iptables-nft can't set the rules") as raised:
        each.put()
    assert type(raised.value) is error
