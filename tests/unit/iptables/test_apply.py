"""The order of operations against iptables in memory: what is changed, checked, and taken back."""

from __future__ import annotations

import io
import sys
from typing import Any, cast

import pytest

from iptables import apply, host, steps
from iptables.errors import Failed
from iptables.execute import Runner
from iptables.options import Facts, Options
from iptables.report import Report
from tests.unit.iptables.build import BOTH_FAMILIES, IPV4, options
from tests.unit.iptables.tables import FakeRunner

ALL = ("-b", "*", "-i", "*")
FOREIGN = "*nat\n-A OUTPUT -p udp -j ACCEPT\nCOMMIT\n"


class Ran:
    """A run's result and what it said."""

    def __init__(self, changed: bool, out: str, err: str) -> None:
        self.changed, self.out, self.err = changed, out, err


@pytest.fixture(autouse=True)
def _a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "missing_capabilities", lambda raw_too: ())
    monkeypatch.setattr(host, "has_address", lambda address, interface: True)
    monkeypatch.setitem(sys.modules, "pyroute2", None)


def run(runner: FakeRunner, wanted: Options, facts: Facts = BOTH_FAMILIES) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    changed = apply.program(wanted, facts, cast(Runner, runner), Report(out, err))
    return Ran(changed, out.getvalue(), err.getvalue())


def rulesets(runner: FakeRunner) -> dict[str, Any]:
    return {family: tables.used() for family, tables in runner.kernel.items()}


def test_set_then_nothing_to_do() -> None:
    runner = FakeRunner(v4=FOREIGN)
    assert run(runner, options(*ALL)).changed
    assert runner.changes() == ["iptables-nft-restore", "ip6tables-nft-restore"]
    runner.calls.clear()
    assert not run(runner, options(*ALL)).changed
    assert runner.changes() == []


def test_force_sets_again() -> None:
    runner = FakeRunner()
    run(runner, options(*ALL))
    assert run(runner, options(*ALL, "--force-apply")).changed


def test_only_the_family_that_differs() -> None:
    runner = FakeRunner()
    run(runner, options(*ALL))
    runner.kernel["ip6tables"].restore("*nat\n-F ISTIO_OUTPUT\nCOMMIT\n")
    runner.calls.clear()
    assert "ip6tables-nft: rules replaced" in run(runner, options(*ALL)).out
    assert runner.changes()[0] == "ip6tables-nft-restore"


def test_clean_up() -> None:
    runner = FakeRunner(v4=FOREIGN)
    before = rulesets(runner)
    run(runner, options(*ALL, "-m", "TPROXY"))
    assert run(runner, options("--cleanup-only")).changed
    assert rulesets(runner) == before


def test_rules_of_a_family_that_is_gone_go_too() -> None:
    runner = FakeRunner()
    run(runner, options(*ALL))
    done = run(runner, options(*ALL), IPV4)
    assert "no IPv6 address" in done.err
    assert rulesets(runner)["ip6tables"] == {}


class TestIpv6:
    def test_no_program(self) -> None:
        runner = FakeRunner("iptables-nft")
        done = run(runner, options(*ALL))
        assert "this host has IPv6, but ip6tables-nft is not installed; only IPv4" in done.err
        assert "iptables-nft: rules set" in done.out

    def test_no_tables_in_the_kernel(self) -> None:
        runner = FakeRunner()
        runner.fails["ip6tables-nft-restore"] = ["unable to initialize table 'nat'"]
        done = run(runner, options(*ALL))
        assert done.changed
        assert "only IPv4 is captured" in done.err

    def test_another_failure_ends_the_run(self) -> None:
        runner = FakeRunner(v4=FOREIGN)
        before = rulesets(runner)
        runner.fails["ip6tables-nft-restore"] = ["line 3 failed", "line 3 failed"]
        with pytest.raises(Failed, match="ip6tables-nft can't set the rules"):
            run(runner, options(*ALL))
        assert rulesets(runner) == before


class TestFailure:
    def test_everything_back(self) -> None:
        runner = FakeRunner(v4=FOREIGN)
        run(runner, options(*ALL, "-m", "TPROXY"))
        before = rulesets(runner)
        runner.fails["ip6tables-nft-restore"] = ["no", "no"]
        with pytest.raises(Failed):
            run(runner, options(*ALL))
        assert rulesets(runner) == before

    def test_a_race_is_tried_again(self) -> None:
        runner = FakeRunner()
        runner.fails["iptables-nft-restore"] = ["Chain already exists."]
        assert run(runner, options(*ALL)).changed

    def test_an_undo_that_fails_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runner, err = FakeRunner(), io.StringIO()

        def broken(*_: object) -> None:
            runner.fails["iptables-nft-restore"] = ["stuck"]
            raise Failed("Something else.")

        monkeypatch.setattr(steps, "passthrough_address", broken)
        report = Report(io.StringIO(), err)
        with pytest.raises(Failed, match="Something else"):
            apply.program(options(*ALL), BOTH_FAMILIES, cast(Runner, runner), report)
        assert "iptables-nft could not be put back: " in err.getvalue()
        assert runner.kernel["ip6tables"].used() == {}  # the rest was put back all the same

    def test_rules_that_are_taken_and_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runner = FakeRunner()
        monkeypatch.setattr(runner.kernel["iptables"], "restore", lambda text: None)
        with pytest.raises(Failed, match="took the rules, and they are not there"):
            run(runner, options(*ALL))

    def test_an_interrupt_is_a_failure_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runner = FakeRunner(v4=FOREIGN)
        before = rulesets(runner)

        def interrupted(*_: object) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(steps, "passthrough_address", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(runner, options(*ALL))
        assert rulesets(runner) == before


class TestBackends:
    def test_none(self) -> None:
        with pytest.raises(Failed, match="No way to set rules here: iptables-nft is not"):
            run(FakeRunner("nothing"), options(*ALL))

    def test_none_to_clean(self) -> None:
        with pytest.raises(Failed, match="No way to set rules"):
            run(FakeRunner("nothing"), options("--cleanup-only"))

    def test_the_one_asked_for_is_missing(self) -> None:
        with pytest.raises(Failed, match="--backend legacy can't be used: iptables-legacy is not"):
            run(FakeRunner(), options(*ALL, "--backend", "legacy"))

    def test_the_next_one_where_the_kernel_refuses(self) -> None:
        runner = FakeRunner("iptables-nft", "ip6tables-nft", "iptables-legacy", v4=FOREIGN)
        before = rulesets(runner)["iptables"]
        runner.fails["ip6tables-nft-restore"] = ["line 3 failed"] * 3
        done = run(runner, options(*ALL))
        assert "ip6tables-nft can't set the rules" in done.err
        assert "Trying legacy." in done.err
        assert done.out.splitlines()[-1] == "iptables-legacy: rules set."
        assert rulesets(runner)["iptables"] == before

    def test_only_the_one_that_was_asked_for(self) -> None:
        runner = FakeRunner("iptables-nft", "iptables-legacy")
        runner.fails["iptables-nft-restore"] = ["line 3 failed"] * 3
        with pytest.raises(Failed):
            run(runner, options(*ALL, "--backend", "nft"))
        assert rulesets(runner)["iptables-legacy"] == {}

    def test_the_other_one_is_cleared(self) -> None:
        runner = FakeRunner("iptables-nft", "iptables-legacy")
        run(runner, options(*ALL, "--backend", "legacy"), IPV4)
        done = run(runner, options(*ALL, "--backend", "nft"), IPV4)
        assert done.out == "iptables-nft: rules set.\niptables-legacy: rules removed.\n"
        assert rulesets(runner)["iptables-legacy"] == {}

    def test_clearing_the_other_one_fails(self) -> None:
        runner = FakeRunner("iptables-nft", "iptables-legacy")
        run(runner, options(*ALL, "--backend", "legacy"), IPV4)
        before = rulesets(runner)
        runner.fails["iptables-legacy-restore"] = ["no", "no"]
        with pytest.raises(Failed):
            run(runner, options(*ALL, "--backend", "nft"), IPV4)
        assert rulesets(runner) == before


def test_missing_capabilities_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "missing_capabilities", lambda raw_too: ("NET_ADMIN",))
    runner = FakeRunner()
    with pytest.raises(Failed, match="Without NET_ADMIN no rules can be set"):
        run(runner, options(*ALL))
    assert runner.calls == []


class TestLinks:
    def test_the_address_is_added_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(host, "has_address", lambda address, interface: False)
        runner = FakeRunner()
        run(runner, options(*ALL))
        added = ["ip", "-6", "addr", "add", "::6/128", "dev", "lo"]
        assert [call for call in runner.calls if call[0] == "ip"] == [added]
        runner.calls.clear()
        run(runner, options(*ALL), IPV4)
        assert not any(call[0] == "ip" and "addr" in call for call in runner.calls)

    def test_policy_routes_come_after_the_rules_and_go_with_them(self) -> None:
        runner = FakeRunner()
        run(runner, options(*ALL, "-m", "TPROXY"))
        programs = [call[0] for call in runner.calls]
        assert programs.index("ip") > programs.index("ip6tables-nft-restore")
        assert [call[1:4] for call in runner.calls if call[0] == "ip"] == [
            ["-4", "rule", "add"],
            ["-4", "route", "add"],
            ["-6", "rule", "add"],
            ["-6", "route", "add"],
        ]
        runner.calls.clear()
        run(runner, options(*ALL))  # another mode needs none
        assert {call[3] for call in runner.calls if call[0] == "ip"} == {"del"}

    def test_a_route_that_fails_takes_the_first_ones_back(self) -> None:
        runner = FakeRunner()
        real, asked = runner.run, []

        def run_ip(argv: Any, text: str = "") -> Any:
            if argv[0].endswith("/ip"):
                asked.append(list(argv[1:4]))
                if argv[1] == "-6" and argv[3] == "add":
                    runner.fails["ip"] = ["Operation not permitted"]
            return real(argv, text)

        runner.run = run_ip  # type: ignore[method-assign]
        with pytest.raises(Failed, match="rule add fwmark"):
            run(runner, options(*ALL, "-m", "TPROXY"))
        assert asked[-2:] == [["-4", "route", "del"], ["-4", "rule", "del"]]
        assert not any(rulesets(runner).values())


def test_exemptions_that_nobody_asked_for_are_named() -> None:
    runner = FakeRunner()
    run(runner, options(*ALL, "-c", "eth9"))
    assert "exempts interface eth9" in run(runner, options(*ALL)).err
    assert "exempts interface eth9" in run(runner, options("--cleanup-only")).err
