"""The two commands: exit status, output, and that nothing ever ends in a traceback."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from iptables import cli, host
from iptables.errors import Failed
from iptables.options import Facts, Options
from iptables.report import Report
from iptables.rules.rule import Family


@pytest.fixture(autouse=True)
def programmed(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """Options that rules would have been set for; the host has IPv4 alone."""
    seen: list[Options] = []

    def program(options: Options, facts: Facts, runner: object, report: Report) -> bool:
        seen.append(options)
        return len(seen) == 1

    monkeypatch.setattr(cli, "program", program)
    monkeypatch.setattr(host, "learn", lambda options: Facts())
    return seen


def test_done_and_nothing_to_do(
    programmed: list[Options], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["-b", "*"]) == 0
    assert capsys.readouterr().out == ""
    assert cli.main(["-b", "*"]) == 0
    assert capsys.readouterr().out == "everything is in place: nothing changed.\n"


def test_clean(programmed: list[Options], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.clean_main(["-u", "5", "-g", "6", "--redirect-dns", "--run-validation"]) in (0, 2)
    assert cli.clean_main(["-u", "5", "-g", "6", "--redirect-dns"]) == 0
    assert programmed[-1].cleanup_only
    assert cli.main(["--cleanup-only"]) == 0
    assert "no rules of ours here: nothing changed." in capsys.readouterr().out


def test_wrong_usage_is_said_in_full(
    programmed: list[Options], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["-b", "x", "-i", "y", "--network-namespace", "/no/such"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: --") and line.endswith(".") for line in lines)
    assert programmed == []


def test_unknown_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--no-such-flag"]) == 2
    assert capsys.readouterr().err == "error: There is no flag or argument '--no-such-flag'.\n"


@pytest.mark.parametrize("command", [cli.main, cli.clean_main])
def test_help(command: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command(["--help"])
    assert ended.value.code == 0
    assert "--istio-inbound-ports" in capsys.readouterr().out


def test_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def program(*_: object) -> bool:
        raise Failed("The kernel module xt_owner is missing.")

    monkeypatch.setattr(cli, "program", program)
    assert cli.main([]) == 1
    assert capsys.readouterr().err == "error: The kernel module xt_owner is missing.\n"


def test_dry_run(
    programmed: list[Options], capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = tmp_path / "rules"
    monkeypatch.setenv("DRY_RUN_FILE_PATH", str(file))
    assert cli.main(["-n", "--run-validation"]) == 0
    out = capsys.readouterr().out
    assert out == f"iptables-save\nip6tables-save\n{file.read_text()}iptables-save\n"
    assert programmed == []
    monkeypatch.setenv("DRY_RUN_FILE_PATH", str(tmp_path / "no" / "file"))
    assert cli.main(["-n"]) == 1
    assert "can't be written" in capsys.readouterr().err


def test_skip_rule_apply(programmed: list[Options]) -> None:
    assert cli.main(["--skip-rule-apply"]) == 0
    assert programmed == []


def test_dns_without_resolvers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--redirect-dns"]) == 0
    assert "no resolver in /etc/resolv.conf: DNS is not captured" in capsys.readouterr().err


def test_a_mode_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-m", "tproxy"]) == 0
    assert "'tproxy' is neither REDIRECT nor TPROXY: it is REDIRECT" in capsys.readouterr().err


def test_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "program", program)
    assert cli.main([]) == 130


class TestValidation:
    @pytest.fixture
    def sentences(self, monkeypatch: pytest.MonkeyPatch) -> dict[Family, str]:
        said = {Family.V4: "", Family.V6: ""}
        monkeypatch.setattr(cli, "probe", lambda family, *ports: said[family])
        monkeypatch.setattr(host, "user_id", lambda: 1337)
        monkeypatch.setattr(host, "learn", lambda options: Facts(ipv6=True))
        return said

    def test_well(self, sentences: dict[Family, str], capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["--run-validation", "-u", "1337"]) == 0
        assert "the self-test came through the rules" in capsys.readouterr().out

    def test_one_family_fails(
        self, sentences: dict[Family, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        sentences[Family.V6] = "IPv6: not captured."
        assert cli.main(["--run-validation", "-u", "1337"]) == 126
        assert capsys.readouterr().err == "error: IPv6: not captured.\n"

    @pytest.mark.parametrize(("uids", "status"), [("1337", 0), ("5,1000-2000", 0), ("5,6", 2)])
    def test_who_may(self, sentences: dict[Family, str], uids: str, status: int) -> None:
        assert cli.main(["--run-validation", "--skip-rule-apply", "-u", uids]) == status


def test_sigterm_ends_a_run_as_an_error(
    programmed: list[Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def program(*_: object) -> bool:
        signal.raise_signal(signal.SIGTERM)
        return True

    monkeypatch.setattr(cli, "program", program)
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
