"""The two commands: set the rules, remove the rules."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from iptables import arguments, dryrun, host, namespace, settings
from iptables.apply import program
from iptables.arguments import UsageError
from iptables.errors import Failed
from iptables.execute import Runner
from iptables.options import Facts, Options
from iptables.probe import probe
from iptables.report import Report
from iptables.rules.compose import compose
from iptables.rules.rule import Family

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
NOT_CAPTURED: Final = 126
INTERRUPTED: Final = 130

MODES: Final = ("", "REDIRECT", "TPROXY")

ABOUT: Final = "Send a pod's traffic to its sidecar. Takes the flags of istio-iptables."
ABOUT_CLEAN: Final = (
    "Remove the rules that send a pod's traffic to its sidecar, and nothing else. Takes the flags "
    "of istio-clean-iptables; interfaces (-c) and TPROXY's mark and table as they were set."
)


def main(argv: Sequence[str]) -> int:
    """Set the rules. Returns the exit status; `--help` raises `SystemExit`."""
    return _run("meshproxy iptables", ABOUT, argv, clean=False)


def clean_main(argv: Sequence[str]) -> int:
    """Remove the rules. Returns the exit status; `--help` raises `SystemExit`."""
    return _run("meshproxy clean-iptables", ABOUT_CLEAN, argv, clean=True)


def _run(prog: str, about: str, argv: Sequence[str], *, clean: bool) -> int:
    report = Report()
    try:
        options = _options(prog, about, argv, report)
    except UsageError as err:
        for problem in err.args:
            report.fail(problem)
        return WRONG_USAGE
    if clean:
        options = replace(options, cleanup_only=True, run_validation=False)
    try:
        with namespace.entered(options.network_namespace), _terminable():
            return _work(options, report)
    except Failed as err:
        report.fail(str(err))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _options(prog: str, about: str, argv: Sequence[str], report: Report) -> Options:
    """Checked options. Raises `UsageError` with every problem."""
    parser = arguments.parser(prog, about)
    given = arguments.given(parser, argv, os.environ)
    options, problems = settings.read(given, host.UserDatabase())
    mode = given["istio-inbound-interception-mode"]
    if mode.text not in MODES:
        report.warn(f"{mode.where}: {mode.text!r} is neither REDIRECT nor TPROXY: it is REDIRECT.")
    if options.network_namespace and not Path(options.network_namespace).exists():
        where = given["network-namespace"].where
        problems.append(f"{where}: there is no {options.network_namespace}.")
    if not problems and options.run_validation and not options.dry_run:
        problems += _wrong_user(options)
    if problems:
        raise UsageError(*problems)
    return options


def _wrong_user(options: Options) -> list[str]:
    """Only the proxy's own connections to itself are captured, so only they can test the rules."""
    if any(_covers(uid, host.user_id()) for uid in options.proxy_uids):
        return []
    who = " or ".join(options.proxy_uids)
    return [f"--run-validation must run as the proxy's user ({who}), not as {host.user_id()}."]


def _covers(uids: str, uid: int) -> bool:
    first, _, last = uids.partition("-")
    return int(first) <= uid <= int(last or first)


def _work(options: Options, report: Report) -> int:
    known = host.learn(options)
    if options.redirect_dns and not known.captures_dns(options):
        report.warn("no resolver in /etc/resolv.conf: DNS is not captured.")
    if options.dry_run:
        _dry_run(options, known, report)
        return DONE
    if not options.skip_rule_apply:
        changed = program(options, known, _runner(options), report)
        if not changed:
            gone = "no rules of ours here" if options.cleanup_only else "everything is in place"
            report.say(f"{gone}: nothing changed.")
    return _validate(options, known, report) if options.run_validation else DONE


def _runner(options: Options) -> Runner:
    """A node agent works on many pods from one file system, where all would share one lock."""
    if not options.cni_mode:
        return Runner()
    pod = os.stat(namespace.OWN).st_ino
    return Runner({"XTABLES_LOCKFILE": f"/run/xtables.{pod}.lock"})


def _dry_run(options: Options, known: Facts, report: Report) -> None:
    rules = compose(options, known)
    report.text(dryrun.commands(options, rules, known.ipv6))
    if options.dry_run_file:
        text = dryrun.rules_text(options, rules, known.ipv6)
        try:
            Path(options.dry_run_file).write_text(text, encoding="utf-8")
        except OSError as err:
            raise Failed(f"{options.dry_run_file} can't be written: {err.strerror}.") from None


def _validate(options: Options, known: Facts, report: Report) -> int:
    """The self-test, in each family that is in use. A failure changes nothing."""
    families = (Family.V4, Family.V6) if known.ipv6 else (Family.V4,)
    wrong = [
        sentence
        for family in families
        if (
            sentence := probe(
                family, options.inbound_port, options.probe_port, options.probe_timeout
            )
        )
    ]
    for sentence in wrong:
        report.fail(sentence)
    if not wrong:
        report.say("the self-test came through the rules.")
    return NOT_CAPTURED if wrong else DONE


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a run as an error does: with everything put back."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: who started that decides
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
